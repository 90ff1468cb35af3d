"""The OpenID Connect provider: discovery, keys, the exchange of a code, and the checks of an ID token.

Nothing is fetched before the first log-in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from service.config.settings import Config
from service.config.sso_settings import is_protected
from service.domain.accounts.oidc_calls import OK, OidcCalls, Unreachable, unavailable
from service.errors import NotConfigured, Unauthenticated
from service.nlp.observer import NULL_OBSERVER, Observer

CALLBACK = "/login/sso/callback"
LOGGED_OUT = "/login"
CACHE_S = 3600.0
LEEWAY_S = 60
_RETRY_S = 0.2
_ALGORITHMS = [f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)]
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_LOG_IN_AGAIN = "Start the log-in again; if it fails again, show this message to an administrator."


class OidcProvider:
    """The provider of OIDC_ISSUER. Thread-safe."""

    def __init__(self, config: Config, observer: Observer = NULL_OBSERVER) -> None:
        """`observer` receives each call to the provider."""
        self.issuer = config.oidc_issuer
        self._client_id = config.oidc_client_id
        self._secret = config.oidc_client_secret
        self._scopes = config.oidc_scopes
        self._redirect_uri = config.public_url + CALLBACK
        self._logged_out_uri = config.public_url + LOGGED_OUT
        self._calls = OidcCalls(hosts=config.egress_hosts, observer=observer)
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def discover(self) -> dict[str, Any]:
        """Return the provider's metadata, at most an hour old.

        Raises:
            NotConfigured: OIDC_ISSUER is empty.
            SsoUnavailable: the provider does not answer, or its metadata is not usable.
        """
        if not self.issuer:
            raise NotConfigured("Single sign-on is not configured; the operator sets OIDC_ISSUER.")
        cached = self._metadata
        if cached is not None and time.monotonic() - cached[0] < CACHE_S:
            return cached[1]
        metadata = self._get(f"{self.issuer}/.well-known/openid-configuration")
        if str(metadata.get("issuer", "")).rstrip("/") != self.issuer:
            raise unavailable("names another issuer than OIDC_ISSUER. Correct OIDC_ISSUER.")
        for name in _ENDPOINTS:
            if not is_protected(str(metadata.get(name, ""))):
                raise unavailable(f"has no https:// address as {name}.")
        for name in ("token_endpoint", "jwks_uri"):
            self._calls.require_listed(str(metadata[name]))
        self._metadata = (time.monotonic(), metadata)
        return metadata

    def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Return the address at the provider where the visitor logs in.

        Raises:
            SsoUnavailable: see `discover`.
        """
        parameters = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        return _with_query(str(self.discover()["authorization_endpoint"]), parameters)

    def log_out_url(self, id_token: str) -> str | None:
        """Return the address at the provider that ends its log-in and leads back to our log-in page.

        `id_token` names the log-in; if it is empty, the provider may ask the visitor. None if there is no
        such address. Source: OpenID Connect RP-Initiated Logout 1.0.

        Raises:
            SsoUnavailable: see `discover`.
        """
        endpoint = str(self.discover().get("end_session_endpoint", ""))
        if not is_protected(endpoint):
            return None
        parameters = {
            "client_id": self._client_id,
            "post_logout_redirect_uri": self._logged_out_uri,
        }
        return _with_query(endpoint, parameters | ({"id_token_hint": id_token} if id_token else {}))

    def redeem(self, code: str, *, nonce: str, verifier: str) -> tuple[str, dict[str, Any]]:
        """Exchange a code for an ID token; return it and its claims, all verified.

        Raises:
            SsoUnavailable: the provider does not answer.
            Unauthenticated: the provider refuses the code, or the ID token is not valid for this log-in.
        """
        metadata = self.discover()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        credentials = None
        if self._secret and "client_secret_basic" in methods:
            credentials = (self._client_id, self._secret)
        else:
            form |= {"client_id": self._client_id}
            form |= {"client_secret": self._secret} if self._secret else {}
        endpoint = str(metadata["token_endpoint"])
        status, answer = self._calls.post(endpoint, form, credentials=credentials)
        if status >= 500:
            raise unavailable(f"answers {status}. Look at its log.")
        if status != OK or not isinstance(answer.get("id_token"), str):
            raise Unauthenticated(
                f"The single sign-on provider refused the log-in with {status}. {_LOG_IN_AGAIN}"
            )
        return answer["id_token"], self._verified(answer, nonce=nonce)

    def _verified(self, answer: Mapping[str, Any], *, nonce: str) -> dict[str, Any]:
        options = {
            "iss": {"essential": True, "values": [self.issuer, f"{self.issuer}/"]},
            "aud": {"essential": True, "value": self._client_id},
        }
        expected = {
            "nonce": nonce,
            "client_id": self._client_id,
            "access_token": answer.get("access_token"),
        }
        try:
            token = self._decoded(answer["id_token"])
            CodeIDToken(token.claims, token.header, options, expected).validate(leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError) as error:
            raise Unauthenticated(
                f"The ID token of the single sign-on provider is not valid ({type(error).__name__}: "
                f"{_claim(error)}). {_LOG_IN_AGAIN}"
            ) from error
        return dict(token.claims)

    def _decoded(self, id_token: str) -> jwt.Token:
        cached = self._keys
        if cached is not None and time.monotonic() - cached[0] < CACHE_S:
            try:
                return jwt.decode(id_token, cached[1], algorithms=_ALGORITHMS)
            except (JoseError, ValueError):
                pass  # the provider may have new keys
        return jwt.decode(id_token, self._fresh_keys(), algorithms=_ALGORITHMS)

    def _fresh_keys(self) -> KeySet:
        listed = self._get(self.discover()["jwks_uri"]).get("keys")
        keys = [
            key
            for key in (listed if isinstance(listed, list) else [])
            if isinstance(key, dict) and key.get("kty") in {"RSA", "EC"} and key.get("use") != "enc"
        ]
        try:
            key_set = KeySet.import_key_set({"keys": keys})
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise unavailable("publishes keys that cannot be read.") from error
        self._keys = (time.monotonic(), key_set)
        return key_set

    def _get(self, url: str) -> dict[str, Any]:
        try:
            status, answer = self._calls.get(url)
        except Unreachable:
            time.sleep(_RETRY_S)
            status, answer = self._calls.get(url)
        if status != OK:
            raise unavailable(f"answers {status} for {url}. Check OIDC_ISSUER.")
        return answer


def _with_query(endpoint: str, parameters: Mapping[str, str]) -> str:
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"


def _claim(error: Exception) -> str:
    """Return the name of a wrong claim, or the error's code; never a value."""
    return str(getattr(error, "claim", None) or getattr(error, "error", "malformed"))
