"""Log-ins at the single sign-on provider of the tests, and what they leave."""

import httpx
from sqlalchemy import select

from db.tables import AuditEvent
from tests.fakes.oidc_provider import CLIENT_ID, CLIENT_SECRET
from tests.support.free_ports import free_port

OWN_FORM = {"Sec-Fetch-Site": "same-origin"}
PASSWORD = "correct horse"
DISCOVERY = "/realms/main/.well-known/openid-configuration"
USERS = "/api/v1/users"


def sso_settings(provider):
    port = free_port()
    return {
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "OIDC_ISSUER": provider.issuer,
        "OIDC_CLIENT_ID": CLIENT_ID,
        "OIDC_CLIENT_SECRET": CLIENT_SECRET,
    }


def to_provider(http, path="/login/sso"):
    answer = http.get(path)
    assert answer.status_code == 303, answer.text
    return httpx.get(answer.headers["Location"]).headers["Location"]


def log_in(http, path="/login/sso"):
    return http.get(to_provider(http, path))


def me(http):
    return http.get("/api/auth/me").json()


def events(sso, action):
    query = select(AuditEvent).where(AuditEvent.action == action).order_by(AuditEvent.id)
    stored = sso.services.transactions.read(lambda session: session.scalars(query).all())
    return [dict(event.detail) for event in stored]


def state_of(admin, email):
    return admin.get(USERS, params={"search": email}).json()["items"][0]["state"]
