"""A deleted account, as its user, its machines and other users see it."""

from uuid import UUID

import pytest
from sqlalchemy import select

from db.tables import Base, Role
from service.domain.accounts import user_admin
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


def delete_me(user, password=None):
    body = {"password": password or user.password}
    return user.http.request("DELETE", "/api/v1/auth/me", json=body)


def everything(live):
    """Return every value of every row of every table as text."""

    def read(session):
        tables = Base.metadata.sorted_tables
        return [
            value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
            for table in tables
            for row in session.execute(select(table))
            for value in row
        ]

    return "\n".join(live.services.transactions.read(read))


def test_nothing_personal_is_left_and_the_audit_trail_stays_sound(live, user, new_user):
    owner = new_user()
    scan_id = owner.scan("The vendor may fail.").json()["scan_id"]
    user.http.put("/api/v1/settings", json={"store_original": True}).raise_for_status()
    form = {"file": ("geheim-plan.txt", b"The secret vendor may fail badly.")}
    user.http.post("/api/v1/scan", files=form).raise_for_status()
    add(user, new_session(user, "Confidential tender"), name="geheim-offer.pdf")
    body = {"name": "my-private-key", "scopes": ["scan"]}
    user.http.post("/api/v1/auth/keys", json=body).raise_for_status()
    own = f"/api/v1/scans/{user.http.get('/api/v1/scans').json()['items'][0]['scan_id']}"
    judge(user, own, 1, comment="my remark").raise_for_status()
    live.services.audit_seals.seal()
    personal = ["geheim", "secret vendor", "Confidential tender", "my-private-key", user.email]
    before = everything(live)
    assert all(word in before for word in [*personal, "my remark"])
    assert delete_me(user).status_code == 204
    after = everything(live)
    assert [word for word in [*personal, "my remark"] if word in after] == []
    assert not [*live.services.config.data_dir.rglob(user.id.replace("-", ""))]
    assert owner.http.get(f"/api/v1/scans/{scan_id}").status_code == 200
    live.services.audit_seals.seal()
    assert live.services.audit_seals.verify().fault is None


def test_comments_and_client_addresses_of_a_deleted_account_are_blanked(user, reviewer, admin):
    scan = f"/api/v1/scans/{user.scan().json()['scan_id']}"
    judge(reviewer, scan, 1, comment="as Ann of sales said").raise_for_status()
    assert delete_me(reviewer).status_code == 204
    [row] = listed(admin, scan)
    assert (row["verdict"], row["comment"]) == ("confirmed", None)
    for query in ({"user_id": reviewer.id}, {"object_id": reviewer.id}):
        events = admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]
        actions = {event["action"] for event in events}
        assert "user.deleted" in actions
        assert not [event for event in events if "client_address" in event["detail"]]
    others = {"user_id": admin.id, "action": "user.logged_in"}
    [login] = admin.http.get("/api/v1/admin/audit-events", params=others).json()["items"]
    assert login["detail"]["client_address"] == "127.0.0.1"


def test_own_account_is_deleted_with_the_right_password_only(user, admin):
    refused = delete_me(user, "wrong password")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "password")
    query = {"user_id": user.id, "action": "password.refused"}
    assert admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]
    assert delete_me(user).status_code == 204
    assert user.http.get("/api/v1/auth/me").status_code == 401


def test_last_administrator_cannot_delete_the_own_account(start_service, make_user):
    service = start_service()
    admin = make_user(service)
    user_id = UUID(admin.id)
    run = service.services.transactions.run
    run(user_admin.set_role, user_id, Role.ADMIN, actor=Actor(operator="cli:root"))
    assert delete_me(admin).status_code == 409
    assert admin.http.get("/api/v1/auth/me").status_code == 200
