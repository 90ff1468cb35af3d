"""A deleted account, as its user, its machines and other users see it."""

from uuid import UUID

import pytest

from service.domain.audit import Actor
from tests.api.filing import add, content, new_session
from tests.api.reviewing import judge, listed

pytestmark = pytest.mark.every_database


@pytest.fixture
def delete(live):
    def delete(user):
        user_id = user.http.get("/api/auth/me").json()["id"]
        live.services.account_deletion.delete(UUID(user_id), actor=Actor(operator="cli:root"))

    return delete


def folders(live):
    return {path.name for path in (live.services.config.data_dir / "files").iterdir()}


def test_deleted_account_loses_tokens_keys_and_bytes_and_others_keep_theirs(
    live, user, new_user, client, delete
):
    other = new_user()
    kept, gone = add(other, new_session(other)), add(user, new_session(user))
    user.scan().raise_for_status()
    user.http.put("/api/v1/settings", json={"retention_days": 9}).raise_for_status()
    body = {"name": "ci", "scopes": ["scan"]}
    key = user.http.post("/api/v1/auth/keys", json=body).json()["key"]
    delete(user)
    assert content(user, gone).status_code == 401
    assert client.post("/scan", headers={"X-API-Key": key}, json={"text": "a"}).status_code == 401
    form = {"username": user.email, "password": user.password}
    assert client.post("/api/auth/login", data=form).status_code == 401
    assert content(other, kept).status_code == 200
    assert user.id.replace("-", "") not in folders(live)
    assert other.id.replace("-", "") in folders(live)


def test_verdict_of_a_deleted_reviewer_stays(user, reviewer, admin, delete):
    scan = f"/api/v1/scans/{user.scan().json()['scan_id']}"
    judge(reviewer, scan, 1).raise_for_status()
    delete(reviewer)
    assert [row["verdict"] for row in listed(admin, scan)] == ["confirmed"]


def test_address_of_a_deleted_account_can_register_again(user, client, delete):
    delete(user)
    body = {"email": user.email, "password": user.password}
    assert client.post("/api/auth/register", json=body).status_code == 201
