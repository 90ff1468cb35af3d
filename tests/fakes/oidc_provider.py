"""A conforming OpenID Connect provider on loopback: code flow with PKCE. Tests make it misbehave."""

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT_ID = "riskscan"
CLIENT_SECRET = "provider secret/+"


class OidcProvider:
    """Logs everyone in as `claims`; `forge` replaces the next ID token, given its claims.

    `host` is localhost, so that a browser takes the provider for another site than a service on 127.0.0.1.
    """

    def __init__(self):
        self.claims = {}
        self.forge = None
        self.overrides = {}  # path -> (status, body)
        self.gate = threading.Event()
        self.gate.set()
        self.requests = []
        self.has_log_out = True
        self.logged_out = []  # subjects
        self.codes_seen, self.tokens_seen = [], []
        self.codes = {}
        self.rotate_key()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.issuer = f"http://localhost:{self._http.server_port}/realms/main"

    def rotate_key(self):
        self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})

    def behave(self):
        self.forge, self.overrides, self.has_log_out = None, {}, True
        self.logged_out.clear()
        self.gate.set()
        self.claims = {
            "sub": secrets.token_hex(8),
            "email": f"{secrets.token_hex(8)}@corp.local",
            "email_verified": True,
        }

    def close(self):
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()

    def answer(self, path, query, headers, body):
        self.requests.append(path)
        self.gate.wait(60)
        if path in self.overrides:
            return self.overrides[path]
        answers = {
            "/realms/main/.well-known/openid-configuration": self._describe,
            "/realms/main/keys": lambda: (200, KeySet([self.key]).as_dict(private=False)),
            "/realms/main/auth": lambda: self._authorize(query),
            "/realms/main/token": lambda: self._exchange(headers, parse_qs(body.decode())),
            "/realms/main/logout": lambda: self._log_out(query),
        }
        return answers[path]() if path in answers else (404, {"error": "not_found"})

    def _describe(self):
        endpoints = {
            "authorization_endpoint": "auth",
            "token_endpoint": "token",
            "jwks_uri": "keys",
        }
        if self.has_log_out:
            endpoints["end_session_endpoint"] = "logout"
        urls = {name: f"{self.issuer}/{end}" for name, end in endpoints.items()}
        return 200, {"issuer": self.issuer, **urls}

    def _authorize(self, query):
        required = ("state", "nonce", "code_challenge")
        if query["client_id"] != [CLIENT_ID] or any(name not in query for name in required):
            return 400, {"error": "invalid_request"}
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        self.codes_seen.append(code)
        answer = urlencode({"code": code, "state": query["state"][0]})
        return 302, f"{query['redirect_uri'][0]}?{answer}"

    def _log_out(self, query):
        """End the log-in that the hint names; without one a provider would ask the visitor."""
        if query["client_id"] != [CLIENT_ID]:
            return 400, {"error": "invalid_request"}
        hint = query.get("id_token_hint")
        self.logged_out.append(jwt.decode(hint[0], self.key).claims["sub"] if hint else None)
        return 302, query["post_logout_redirect_uri"][0]

    def _exchange(self, headers, form):
        expected = f"{CLIENT_ID}:{CLIENT_SECRET}"
        sent = base64.b64decode(headers.get("Authorization", "Basic ").split(" ", 1)[1]).decode()
        if unquote(sent) != expected:
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form["code"][0], None)
        digest = hashlib.sha256(form.get("code_verifier", [""])[0].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != [challenge]:
            return 400, {"error": "invalid_grant"}
        if asked["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300}
        claims |= {"nonce": asked["nonce"][0], **self.claims}
        token = (self.forge or self.sign)(claims)
        self.tokens_seen.append(token)
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": token}

    def sign(self, claims):
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)


def _handler(provider):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer(b"")

        def do_POST(self):
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body):
            parts = urlsplit(self.path)
            status, answer = provider.answer(parts.path, parse_qs(parts.query), self.headers, body)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", answer)
                answer = ""
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

        def log_message(self, *_args):
            pass

    return Handler
