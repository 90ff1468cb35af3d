"""Accounts of every role on a running service, each with documents that carry its own secret marker."""

import re
import secrets
from contextlib import closing
from dataclasses import dataclass, field

from tests.api.access import CALLERS
from tests.api.test_permissions import filled
from tests.support.calls import caller
from tests.support.sentences import FLOW_TEXT

PASSWORD = "correct horse"
SCOPES = ("scan", "read", "review", "delete", "admin")
READERS_OF_DOCUMENTS = frozenset({"reviewer", "admin"})
READERS_OF_ACCOUNTS = frozenset({"admin"})
"""An administrator downloads everything that is stored about an account."""


@dataclass
class Actor:
    """An account and its credentials; `nobody` has none."""

    name: str
    id: str = ""
    token: str = ""
    refresh: str = ""
    cookie: str = ""
    csrf: str = ""
    keys: dict = field(default_factory=dict)
    places: dict = field(default_factory=dict)

    @property
    def bearer(self):
        return (("Authorization", f"Bearer {self.token}"),) if self.token else ()


class World:
    """The accounts of CALLERS, and whose markers they may see."""

    def __init__(self, url, admin_email):
        self.url = url
        self.port = int(url.rsplit(":", 1)[1])
        self._admin_email = admin_email
        self.readers = {}
        """Of each marker: the actors that may see it."""
        with closing(caller(url)) as http:
            self.actors = {
                "nobody": Actor("nobody"),
                "admin": self._log_in(http, "admin", admin_email),
            }
            for name in CALLERS[1:]:
                if name != "admin":
                    self.actors[name] = self._made(http, name)
            for actor in list(self.actors.values())[1:]:
                self._furnish(actor)
            self.ended = self._ended(http)
            self.parameters = self._parameters(http)

    def foreign(self, actor_name, body):
        """Return the markers in a body that this actor must not see."""
        if b"mk" not in body:
            return []
        found = set(re.findall(rb"mk[0-9a-f]{24}", body))
        return [m for m in found if actor_name not in self.readers.get(m.decode(), {actor_name})]

    def _marker(self, owner, readers):
        marker = f"mk{secrets.token_hex(12)}"
        self.readers[marker] = {owner, *readers}
        return marker

    def _made(self, http, name):
        email = f"{secrets.token_hex(8)}@corp.local"
        http.post(
            "/api/auth/register", json={"email": email, "password": PASSWORD}
        ).raise_for_status()
        actor = self._log_in(http, name, email)
        if name in {"user", "owner", "ended"}:
            return actor
        changed = http.patch(
            f"/api/v1/users/{actor.id}",
            json={"role": name},
            headers=dict(self.actors["admin"].bearer),
        )
        changed.raise_for_status()
        return self._log_in(http, name, email)

    def _log_in(self, http, name, email):
        form = {"username": email, "password": PASSWORD}
        tokens = http.post("/api/auth/login", data=form).raise_for_status().json()
        actor = Actor(name, token=tokens["access_token"], refresh=tokens["refresh_token"])
        me = http.get("/api/auth/me", headers=dict(actor.bearer)).raise_for_status()
        actor.id = me.json()["id"]
        with closing(caller(self.url)) as browser:
            headers = {"Sec-Fetch-Site": "same-origin"}
            form = {"email": email, "password": PASSWORD}
            browser.post("/login", data=form, headers=headers)
            actor.cookie = browser.cookies.get("riskscan_login") or ""
            page = browser.get("/settings").text
        found = re.search(r'name="csrf-token" content="(\w+)"', page)
        assert actor.cookie, "the log-in of a browser gave no cookie"
        assert found, "the page has no CSRF token"
        actor.csrf = found[1]
        return actor

    def _furnish(self, actor):
        """Store a document, a session with a file, and keys, all of which carry markers."""
        with closing(caller(self.url, headers=dict(actor.bearer))) as http:
            http.put("/api/v1/settings", json={"store_original": True}).raise_for_status()
            text, name, file = (self._marker(actor.name, READERS_OF_DOCUMENTS) for _ in range(3))
            form = {"file": (f"{name}.txt", f"{FLOW_TEXT}. We call it {text} here.".encode())}
            scan = http.post("/api/v1/scan", files=form).raise_for_status().json()["scan_id"]
            mine = self._marker(actor.name, READERS_OF_ACCOUNTS)
            named = http.post("/api/v1/sessions", json={"name": mine}).raise_for_status()
            session = named.json()["id"]
            # Schemathesis lets owners scan their files, and reviewers read everyone's scans.
            form = {"file": (f"{file}.txt", f"{FLOW_TEXT}. {file}".encode())}
            added = http.post(f"/api/v1/sessions/{session}/files", files=form).raise_for_status()
            for scope in SCOPES:
                body = {"name": f"{mine} {scope}", "scopes": [scope]}
                if (made := http.post("/api/v1/auth/keys", json=body)).status_code == 201:
                    actor.keys[scope] = made.json()["key"]
                    key_id = made.json()["id"]
            body = {"name": mine, "url": "https://receiver.invalid/"}
            hook = http.post("/api/v1/webhooks", json=body).raise_for_status().json()["id"]
            sent = http.post(f"/api/v1/webhooks/{hook}/test").raise_for_status().json()["id"]
            batch = http.post("/api/v1/batches", files=form).raise_for_status().json()["id"]
            verdict = {"verdict": "confirmed", "comment": text}
            at = f"/api/v1/scans/{scan}"
            feedback = http.put(f"{at}/findings/1/feedback", json=verdict).raise_for_status()
            actor.places = {
                "<uuid:scan_id>": scan,
                "<uuid:risk_id>": self._risk(http, mine, scan),
                "<uuid:document_id>": http.get(at).raise_for_status().json()["document_id"],
                "<int:n>": "1",
                "<uuid:feedback_id>": feedback.json()["id"],
                "<uuid:session_id>": session,
                "<uuid:file_id>": added.json()["id"],
                "<uuid:key_id>": key_id,
                "<uuid:batch_id>": batch,
                "<uuid:webhook_id>": hook,
                "<uuid:delivery_id>": sent,
                "<uuid:login_id>": http.get("/api/v1/auth/logins").json()["items"][0]["id"],
                "<uuid:user_id>": actor.id,
            }

    def _risk(self, http, title, scan):
        risk = {"title": title, "finding": {"scan_id": scan, "n": 1}}
        return http.post("/api/v1/risks", json=risk).raise_for_status().json()["id"]

    def _ended(self, http):
        """Return an account that was deleted; its token must be refused."""
        actor = self._made(http, "ended")
        admin = dict(self.actors["admin"].bearer)
        http.delete(f"/api/v1/users/{actor.id}", headers=admin).raise_for_status()
        return actor

    def _parameters(self, http):
        """Return values for the paths' parameters: what the owner has, and a team and a block of nobody's."""
        admin = dict(self.actors["admin"].bearer)
        name = f"Team {secrets.token_hex(4)}"
        team = http.post("/api/v1/teams", json={"name": name}, headers=admin).raise_for_status()
        new = {"network": "198.51.100.7", "reason": "for this test"}
        block = http.post("/api/v1/admin/blocks", json=new, headers=admin).raise_for_status()
        return {
            **self.actors["owner"].places,
            **self._course(http),
            "<uuid:team_id>": team.json()["id"],
            "<uuid:block_id>": block.json()["id"],
            "<path:name>": "swagger-ui.css",
            "<path:asset>": "base.css",
        }

    def _course(self, http):
        """Add an active course that the owner takes, and return its ids."""
        author, owner = (dict(self.actors[name].bearer) for name in ("instructor", "owner"))
        body = {"code": f"C-{secrets.token_hex(6)}", "title": "Secrets", "status": "active"}
        made = http.post("/api/v1/courses", json=body, headers=author).raise_for_status()
        course = f"/api/v1/courses/{made.json()['id']}"
        body = {"title": "Keys", "source": "# Keys"}
        lesson = http.post(f"{course}/lessons", json=body, headers=author).raise_for_status()
        form = {"file": ("a.txt", b"a")}
        file = http.post(f"{course}/files", files=form, headers=author).raise_for_status()
        body = {"course_id": made.json()["id"]}
        enrolled = http.post("/api/v1/enrolments", json=body, headers=owner).raise_for_status()
        return {
            "<uuid:course_id>": made.json()["id"],
            "<uuid:lesson_id>": lesson.json()["id"],
            "<uuid:course_file_id>": file.json()["id"],
            "<uuid:enrolment_id>": enrolled.json()["enrolment"]["id"],
        }

    def path(self, route, actor=None):
        """Fill a route's parameters with the ids of `actor`, or of the owner."""
        places = {**self.parameters, **self.actors[actor].places} if actor else self.parameters
        return filled(route, places)
