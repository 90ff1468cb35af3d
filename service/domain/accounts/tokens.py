"""Access tokens (JWT, HS256) and refresh tokens (opaque, signed): created and read here, stored elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
from itsdangerous import BadSignature, Signer

from service.config.settings import Config
from service.errors import Unauthenticated

_CLAIMS = ["sub", "sid", "iat", "exp", "jti"]
_COOKIE = "cookie"


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The account that a valid access token identifies, and the log-in that issued it."""

    user_id: UUID
    login_id: UUID


@dataclass(frozen=True, slots=True)
class CookieClaims:
    """The account and log-in of a browser's cookie, and when the cookie was issued."""

    access: AccessClaims
    issued_at: datetime


class TokenMaker:
    """Signs and reads tokens with the keys of one configuration."""

    def __init__(self, config: Config) -> None:
        self._jwt_secret = config.jwt_secret
        self._algorithm = config.jwt_algorithm
        self._refresh_signer = Signer(
            config.secret_key, salt="refresh-token", digest_method=hashlib.sha256
        )
        self._csrf_key = hashlib.sha256(b"csrf " + config.secret_key.encode()).digest()
        self.access_life = timedelta(minutes=config.access_token_expire_minutes)
        self.refresh_life = timedelta(days=config.refresh_token_expire_days)

    def access_token(self, user_id: UUID, login_id: UUID) -> str:
        """Return a JWT with sub, sid (the log-in), iat, exp and jti."""
        now = datetime.now(UTC)
        claims = {
            "sub": str(user_id),
            "sid": str(login_id),
            "iat": now,
            "exp": now + self.access_life,
            "jti": secrets.token_hex(16),
        }
        return jwt.encode(claims, self._jwt_secret, algorithm=self._algorithm)

    def read_access_token(self, token: str) -> AccessClaims:
        """Return the claims of a valid token.

        Raises:
            Unauthenticated: the token is expired, altered, signed with another key, or lacks a claim.
        """
        try:
            claims = jwt.decode(
                token, self._jwt_secret, algorithms=[self._algorithm], options={"require": _CLAIMS}
            )
            return AccessClaims(UUID(str(claims["sub"])), UUID(str(claims["sid"])))
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("The access token has expired; refresh it.") from error
        except (jwt.InvalidTokenError, ValueError) as error:
            raise Unauthenticated("The access token is not valid; log in again.") from error

    def cookie_token(self, user_id: UUID, login_id: UUID) -> str:
        """Return a JWT for a browser's cookie; its audience keeps it from passing as an access token."""
        now = datetime.now(UTC)
        claims = {
            "sub": str(user_id),
            "sid": str(login_id),
            "aud": _COOKIE,
            "iat": now,
            "exp": now + self.refresh_life,
            "jti": secrets.token_hex(16),
        }
        return jwt.encode(claims, self._jwt_secret, algorithm=self._algorithm)

    def read_cookie_token(self, token: str) -> CookieClaims:
        """Return the claims of a valid cookie token.

        Raises:
            Unauthenticated: the token is expired, altered, or no cookie token.
        """
        try:
            claims = jwt.decode(
                token,
                self._jwt_secret,
                algorithms=[self._algorithm],
                audience=_COOKIE,
                options={"require": [*_CLAIMS, "aud"]},
            )
            access = AccessClaims(UUID(str(claims["sub"])), UUID(str(claims["sid"])))
            return CookieClaims(access, datetime.fromtimestamp(claims["iat"], UTC))
        except (jwt.InvalidTokenError, ValueError) as error:
            raise Unauthenticated(
                "The log-in of this browser has expired; log in again."
            ) from error

    def csrf_token(self, login_id: UUID) -> str:
        """Return the token that a page of this log-in sends with every change, 64 hex characters."""
        return hmac.new(self._csrf_key, login_id.bytes, hashlib.sha256).hexdigest()

    def is_csrf_token(self, token: str, login_id: UUID) -> bool:
        """Return whether `token` belongs to the log-in, in constant time."""
        return hmac.compare_digest(token.encode(), self.csrf_token(login_id).encode())

    def refresh_token(self) -> str:
        """Return a fresh opaque token: 256 random bits and their signature."""
        return self._refresh_signer.sign(secrets.token_urlsafe(32)).decode()

    def refresh_token_hash(self, token: str) -> str:
        """Return the sha256 (hex) under which a refresh token is stored.

        Raises:
            Unauthenticated: this service did not sign it; detected without the database.
        """
        try:
            return hashlib.sha256(self._refresh_signer.unsign(token)).hexdigest()
        except (BadSignature, UnicodeError) as error:
            raise Unauthenticated("The refresh token is not valid; log in again.") from error
