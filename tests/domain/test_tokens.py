"""Access tokens are read only as they were signed, and name why they are not."""

import uuid
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from service.domain.accounts.tokens import AccessClaims, TokenMaker
from service.errors import Unauthenticated

CLAIMS = AccessClaims(uuid.uuid4(), uuid.uuid4())


@pytest.fixture
def tokens(config):
    return TokenMaker(config)


@pytest.fixture
def sign(config):
    """Sign claims as the service does, some of them changed; None leaves one out."""

    def encode(*, key=config.jwt_secret, algorithm="HS256", **changed):
        now = datetime.now(UTC)
        claims = {
            "sub": str(CLAIMS.user_id),
            "sid": str(CLAIMS.login_id),
            "iat": now,
            "exp": now + timedelta(minutes=1),
            "jti": "x",
            **changed,
        }
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, key, algorithm=algorithm)

    return encode


def test_access_token_reads_back(tokens, sign):
    issued = tokens.access_token(CLAIMS.user_id, CLAIMS.login_id)
    assert tokens.read_access_token(issued) == tokens.read_access_token(sign()) == CLAIMS


def test_expired_access_token_says_to_refresh_it(tokens, sign):
    with pytest.raises(Unauthenticated, match="expired; refresh it"):
        tokens.read_access_token(sign(exp=datetime.now(UTC) - timedelta(seconds=1)))


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "x" * 64},
        {"algorithm": "none", "key": ""},
        {"sub": "no id"},
        *({name: None} for name in ("sub", "sid", "iat", "exp", "jti")),
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_access_token_that_the_service_did_not_sign_so_is_refused(tokens, sign, changed):
    with pytest.raises(Unauthenticated, match="not valid; log in again"):
        tokens.read_access_token(sign(**changed))


@pytest.mark.parametrize("token", ["", "a.b.c", "\N{SNOWMAN}"])
def test_text_that_is_no_token_is_refused(tokens, token):
    with pytest.raises(Unauthenticated):
        tokens.read_access_token(token)
    with pytest.raises(Unauthenticated):
        tokens.refresh_token_hash(token)


def test_refresh_tokens_differ_and_hash_alike_each_time(tokens):
    first, second = tokens.refresh_token(), tokens.refresh_token()
    assert tokens.refresh_token_hash(first) == tokens.refresh_token_hash(first)
    assert tokens.refresh_token_hash(first) != tokens.refresh_token_hash(second)
