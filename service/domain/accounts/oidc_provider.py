"""The OpenID Connect provider: discovery, keys, the exchange of a code, and the checks of an ID token.

Nothing is fetched before the first log-in. Each call has a deadline and a maximum size.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from service.config.settings import Config
from service.config.sso_settings import is_protected
from service.errors import NotConfigured, SsoUnavailable, Unauthenticated

CALLBACK = "/login/sso/callback"
TIMEOUT_S = 8.0
MAX_ANSWER_BYTES = 512 * 1024
CACHE_S = 3600.0
LEEWAY_S = 60
_MAX_CALLS = 8
"""Calls at once: a provider that hangs must not hold more threads of the service."""
_RETRY_S = 0.2
_ALGORITHMS = [f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)]
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_LOG_IN_AGAIN = "Start the log-in again; if it fails again, show this message to an administrator."


class OidcProvider:
    """The provider of OIDC_ISSUER. Thread-safe."""

    def __init__(self, config: Config) -> None:
        self.issuer = config.oidc_issuer
        self._client_id = config.oidc_client_id
        self._secret = config.oidc_client_secret
        self._scopes = config.oidc_scopes
        self._redirect_uri = config.public_url + CALLBACK
        self._http = httpx.Client(
            trust_env=False, follow_redirects=False, verify=ssl.create_default_context()
        )
        self._slots = threading.BoundedSemaphore(_MAX_CALLS)
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

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
            raise _unavailable("names another issuer than OIDC_ISSUER. Correct OIDC_ISSUER.")
        for name in _ENDPOINTS:
            if not is_protected(str(metadata.get(name, ""))):
                raise _unavailable(f"has no https:// address as {name}.")
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
        endpoint = str(self.discover()["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"

    def redeem(self, code: str, *, nonce: str, verifier: str) -> dict[str, Any]:
        """Exchange a code for an ID token and return its claims, all verified.

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
        auth = None
        if self._secret and "client_secret_basic" in methods:
            auth = (quote(self._client_id, safe=""), quote(self._secret, safe=""))
        else:
            form |= {"client_id": self._client_id}
            form |= {"client_secret": self._secret} if self._secret else {}
        status, answer = self._call("POST", metadata["token_endpoint"], data=form, auth=auth)
        if status >= 500:
            raise _unavailable(f"answers {status}. Look at its log.")
        if status != httpx.codes.OK or not isinstance(answer.get("id_token"), str):
            raise Unauthenticated(
                f"The single sign-on provider refused the log-in with {status}. {_LOG_IN_AGAIN}"
            )
        return self._verified(answer, nonce=nonce)

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
            raise _unavailable("publishes keys that cannot be read.") from error
        self._keys = (time.monotonic(), key_set)
        return key_set

    def _get(self, url: str) -> dict[str, Any]:
        try:
            status, answer = self._call("GET", url)
        except _Unreachable:
            time.sleep(_RETRY_S)
            status, answer = self._call("GET", url)
        if status != httpx.codes.OK:
            raise _unavailable(f"answers {status} for {url}. Check OIDC_ISSUER.")
        return answer

    def _call(self, method: str, url: str, **content: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401 - httpx's
        """Send a request on a separate thread, since httpx limits each wait but not their sum."""
        if not self._slots.acquire(blocking=False):
            raise _unavailable("is slow, and too many log-ins wait for it. Try again in a minute.")
        outcome: Future[tuple[int, bytes]] = Future()

        def run() -> None:
            try:
                outcome.set_result(self._exchange(method, url, content))
            except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                outcome.set_exception(error)
            finally:
                self._slots.release()

        threading.Thread(target=run, name="oidc", daemon=True).start()
        try:
            status, body = outcome.result(timeout=TIMEOUT_S)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise _unavailable(f"does not answer within {TIMEOUT_S:.0f} seconds.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Unreachable(_message(f"cannot be reached ({type(error).__name__}).")) from error
        return status, _parsed(status, body)

    def _exchange(self, method: str, url: str, content: dict[str, Any]) -> tuple[int, bytes]:
        end_s = time.monotonic() + TIMEOUT_S
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        body = bytearray()
        with self._http.stream(
            method, url, headers=headers, timeout=TIMEOUT_S, **content
        ) as response:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise _unavailable(f"answers with more than {MAX_ANSWER_BYTES:,} bytes.")
                if time.monotonic() > end_s:
                    raise httpx.ReadTimeout("the deadline passed", request=response.request)
        return response.status_code, bytes(body)


class _Unreachable(SsoUnavailable):
    """No connection; a second attempt may succeed."""


def _parsed(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        return answer
    if status == httpx.codes.OK:
        raise _unavailable("answers with something that is not a JSON object. Check OIDC_ISSUER.")
    return {}


def _claim(error: Exception) -> str:
    """Return the name of a wrong claim, or the error's code; never a value."""
    return str(getattr(error, "claim", None) or getattr(error, "error", "malformed"))


def _message(fault: str) -> str:
    return f"The single sign-on provider {fault} Try again later; operators run `python -m service check`."


def _unavailable(fault: str) -> SsoUnavailable:
    return SsoUnavailable(_message(fault))
