"""Callers without the right: every route, forged tokens, keys and cookies, and games with paths."""

import base64
import json
import time
from uuid import uuid4

import jwt

from tests.api.test_permissions import ANYONE, CALLERS, TABLE, TO_OWN_FORMS, expected_refusal
from tests.e2e.hostile.attempts import Attempt
from tests.e2e.hostile.wire import Request, form_body, json_body

SAFE = {"GET", "HEAD", "OPTIONS"}
CLOSED = [r for r, access in TABLE.items() if access not in (ANYONE, TO_OWN_FORMS)]
FORBIDDEN = [
    (route, name)
    for route, access in TABLE.items()
    for name in CALLERS
    if expected_refusal(name, access) is not None
]


def request_of(world, route, headers=(), *, target=None, actor=None):
    """Return the request that the table describes, with these headers."""
    (method, path), access = route, TABLE[route]
    content = access.request(world.parameters)
    query = "&".join(f"{name}={value}" for name, value in content["params"].items())
    target = target or world.path(path, actor) + (f"?{query}" if query else "")
    if method == "GET":
        return Request(method, target, headers)
    more, body = form_body(access.files) if access.files else json_body(content["json"])
    return Request(method, target, (*headers, *more), body)


def table(world, random):
    """Yield every route with every caller that the table forbids, for ever, in random order."""
    while True:
        for route, name in random.sample(FORBIDDEN, len(FORBIDDEN)):
            refusal = expected_refusal(name, TABLE[route])
            request = request_of(world, route, world.actors[name].bearer)
            yield Attempt("table", name, request, True, frozenset({refusal}), " ".join(route))


def nested_ids(world, random):
    """Yield paths whose outer object is the caller's own, and whose inner one is another user's."""
    strangers = ("user", "analyst", "instructor")
    nested = [
        (method, path)
        for method, path in CLOSED
        if path.count("<uuid:") == 2
        and "user_id" not in path
        and not TABLE[method, path].callers.intersection(strangers)  # as the lessons of a course
    ]
    inner = ("<uuid:file_id>", "<uuid:feedback_id>", "<uuid:team_id>", "<uuid:delivery_id>")
    own = ("<uuid:session_id>", "<uuid:scan_id>", "<uuid:document_id>", "<uuid:webhook_id>")
    while True:
        route, name = random.choice(nested), random.choice(strangers)
        path = route[1]
        mine, theirs = (own, inner) if random.random() < 0.7 else (inner[:2], own)
        for parameter in mine:
            path = path.replace(parameter, world.actors[name].places.get(parameter, parameter))
        for parameter in theirs:
            path = path.replace(parameter, world.parameters[parameter])
        request = request_of(world, route, world.actors[name].bearer, target=world.path(path))
        yield Attempt("ids", name, request, True, note=" ".join(route))


def tokens(world, random, secret):
    """Yield closed routes with tokens that the service did not issue, or not for this purpose."""
    while True:
        route = random.choice(CLOSED)
        actor = world.actors[random.choice(["user", "reviewer", "admin", "owner"])]
        for name, text in _forged(world, actor, secret).items():
            headers = (("Authorization", f"Bearer {text}"),)
            request = request_of(world, route, headers)
            yield Attempt("tokens", "nobody", request, True, frozenset({401}), name)


def _forged(world, actor, secret):
    claims = jwt.decode(actor.token, options={"verify_signature": False})
    as_admin = {**claims, "sub": world.actors["admin"].id}
    header, payload, signature = actor.token.split(".")
    altered = _b64(json.dumps(as_admin).encode())
    return {
        **{
            f"alg {a}": f"{_b64(json.dumps({'alg': a, 'typ': 'JWT'}).encode())}.{payload}."
            for a in ("none", "None", "nOnE", "", "HS256")
        },
        "another key": jwt.encode(claims, "f" * 32, algorithm="HS256"),
        "another algorithm": jwt.encode(claims, secret * 2, algorithm="HS512"),
        "altered payload": f"{header}.{altered}.{signature}",
        "no signature": f"{header}.{payload}.",
        "two parts": f"{header}.{payload}",
        "four parts": f"{actor.token}.{signature}",
        "signature cut": actor.token[:-4],
        "expired": jwt.encode({**claims, "exp": int(time.time()) - 5}, secret, algorithm="HS256"),
        "never issued": jwt.encode({**claims, "sid": str(uuid4())}, secret, algorithm="HS256"),
        "without login": jwt.encode({"sub": claims["sub"]}, secret, algorithm="HS256"),
        "key id": jwt.encode(
            claims, "f" * 32, algorithm="HS256", headers={"kid": "../../dev/null"}
        ),
        "own key in header": jwt.encode(
            claims,
            "f" * 32,
            algorithm="HS256",
            headers={"jwk": {"kty": "oct", "k": _b64(b"f" * 32)}},
        ),
        "refresh token": actor.refresh,
        "cookie": actor.cookie,
        "deleted account": world.ended.token,
        "API key": next(iter(actor.keys.values())),
        "empty": "",
        "blank inside": f"{header} .{payload}.{signature}",
        "not ASCII": actor.token[:-1] + "\u00ff",
        "10,000 characters": "a." * 5_000 + "a",
    }


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def keys(world, random):
    """Yield closed routes with altered API keys, and with keys that lack the scope."""
    while True:
        route = random.choice(CLOSED)
        actor = world.actors[random.choice(["user", "admin", "owner"])]
        scope, key = random.choice(list(actor.keys.items()))
        at = random.randrange(4, len(key))
        other = "b" if key[at] == "a" else "a"
        altered = {
            "cut": key[:-1],
            "one character changed": key[:at] + other + key[at + 1 :],
            "other case": key.swapcase(),
            "twice": key + key,
            "empty": "",
            "access token": actor.token,
            "not ASCII": key[:-1] + "\u00ff",
            "SQL": f"{key}' OR '1'='1",
        }
        for note, text in altered.items():
            headers = random.choice(
                [(("X-API-Key", text),), (("Authorization", f"ApiKey {text}"),)]
            )
            request = request_of(world, route, headers)
            yield Attempt("keys", "nobody", request, True, frozenset({401}), note)
        if scope != TABLE[route].scope:
            request = request_of(world, route, (("X-API-Key", key),))
            yield Attempt("keys", actor.name, request, True, frozenset({403}), "without the scope")


def cookies(world, random):
    """Yield changes with a browser's cookie that lack the CSRF token, and altered cookies."""
    changes = [r for r in CLOSED if r[0] not in SAFE]
    while True:
        actor = world.actors[random.choice(["user", "admin", "owner"])]
        other = world.actors["reviewer"]
        cookie = ("Cookie", f"riskscan_login={actor.cookie}")
        for note, more in {
            "no CSRF token": (),
            "another's CSRF token": (("X-CSRF-Token", other.csrf),),
            "empty CSRF token": (("X-CSRF-Token", ""),),
            "CSRF token not ASCII": (("X-CSRF-Token", "\u00ff"),),
        }.items():
            route = random.choice(changes)
            request = request_of(world, route, (cookie, *more))
            yield Attempt("cookies", actor.name, request, True, frozenset({403}), note)
        for note, text in {
            "altered": actor.cookie[:-3] + "abc",
            "access token": actor.token,
            "refresh token": actor.refresh,
            "deleted account": world.ended.cookie,
            "empty": "",
            "quotes": f'"{actor.cookie[:-2]}',
        }.items():
            csrf = world.ended.csrf if note == "deleted account" else actor.csrf
            headers = (("Cookie", f"riskscan_login={text}"), ("X-CSRF-Token", csrf))
            request = request_of(world, random.choice(CLOSED), headers)
            yield Attempt("cookies", "nobody", request, True, frozenset({401}), note)


def paths(world, random):
    """Yield forbidden requests whose path or headers try to pass by the check."""
    routes = [(r, n) for r, n in FORBIDDEN if r in CLOSED]
    while True:
        route, name = random.choice(routes)
        plain = request_of(world, route, world.actors[name].bearer)
        note, game = random.choice(list(_GAMES.items()))
        target = game(plain.target, random)
        more = random.choice(_overrides(plain)) if random.random() < 0.3 else ()
        headers = (*plain.headers, *more)
        request = Request(plain.method, target, headers, plain.body)
        yield Attempt("paths", name, request, True, note=note)


def _at_slash(new):
    def play(target, random):
        slashes = [n for n, c in enumerate(target) if c == "/"]
        at = random.choice(slashes)
        return target[:at] + new + target[at + 1 :]

    return play


def _encoded(target, random):
    at = random.randrange(1, len(target))
    return f"{target[:at]}%{ord(target[at]):02x}{target[at + 1 :]}"


def _encoded_twice(target, random):
    return _encoded(target, random).replace("%", "%25", 1)


_GAMES = {
    "double slash": _at_slash("//"),
    "dot": _at_slash("/./"),
    "dots": _at_slash("/x/../"),
    "encoded dots": _at_slash("/x/%2e%2e/"),
    "encoded slash": _at_slash("%2f"),
    "backslash": _at_slash("\\"),
    "semicolon": _at_slash("/;a=b/"),
    "dots and semicolon": _at_slash("/x/..;/"),
    "encoded character": _encoded,
    "encoded twice": _encoded_twice,
    "upper case": lambda t, _: t.upper(),
    "upper case of the first part": lambda t, _: t.replace("/api", "/API"),
    "slash at the end": lambda t, _: f"{t}/",
    "dot at the end": lambda t, _: f"{t}.",
    "JSON at the end": lambda t, _: f"{t}.json",
    "NUL at the end": lambda t, _: f"{t}%00",
    "line feed at the end": lambda t, _: f"{t}%0a",
    "through an open path": lambda t, _: f"/static/..{t}",
    "through an encoded open path": lambda t, _: f"/health/%2e%2e{t}",
    "absolute": lambda t, _: f"http://localhost{t}",
    "absolute of another host": lambda t, _: f"http://admin@evil.example{t}",
    "without a slash": lambda t, _: t[1:],
    "method in the query": lambda t, _: f"{t}{'&' if '?' in t else '?'}_method=GET",
    "overlong UTF-8": lambda t, _: t.replace("/api", "/%c0%afapi"),
    "unaltered": lambda t, _: t,
}


def _overrides(plain):
    return [
        (("X-HTTP-Method-Override", "GET"),),
        (("X-Method-Override", "DELETE"), ("X-HTTP-Method", "DELETE")),
        (("X-Original-URL", "/health"), ("X-Rewrite-URL", "/health")),
        (("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1")),
        (("X-Forwarded-User", "admin"), ("Remote-User", "admin"), ("X-Remote-User", "admin")),
        (("X-Forwarded-Prefix", plain.target), ("X-Script-Name", "/api")),
        (("X-Forwarded-Host", "evil.example"), ("Forwarded", "for=127.0.0.1;host=admin")),
    ]
