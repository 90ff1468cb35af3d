"""Whoever names what they read as If-Match overwrites nobody's change: accounts, teams, and so on."""

import threading

import pytest

pytestmark = pytest.mark.every_database

WEBHOOK = "http://127.0.0.1:9/events"


@pytest.fixture(scope="module")
def live(database_url, start_service):
    return start_service(DATABASE_URL=database_url, WEBHOOK_NETWORKS="127.0.0.0/8")


@pytest.fixture
def objects(admin, user):
    """By kind: address, method, and two bodies that change it."""

    def created(path, **fields):
        answer = admin.http.post(f"/api/v1/{path}", json=fields).raise_for_status()
        return f"/api/v1/{path}/{answer.json()['id']}"

    hook = {"name": "tickets", "url": WEBHOOK}
    made = {
        "settings": lambda: "/api/v1/settings",
        "session": lambda: created("sessions", name="Bids"),
        "team": lambda: created("teams", name=f"Team {admin.id}"),
        "user": lambda: f"/api/v1/users/{user.id}",
        "webhook": lambda: created("webhooks", **hook),
    }
    changes = {
        "settings": ({"sensitivity": "recall"}, {"sensitivity": "precision"}),
        "session": ({"name": "Bids of May"}, {"name": "Bids of June"}),
        "team": ({"name": f"Team 1 {admin.id}"}, {"name": f"Team 2 {admin.id}"}),
        "user": ({"role": "reviewer"}, {"is_disabled": True}),
        "webhook": ({**hook, "is_enabled": False}, {**hook, "name": "alarms"}),
    }
    return lambda kind: (made[kind](), "PATCH" if kind == "user" else "PUT", *changes[kind])


KINDS = pytest.mark.parametrize("kind", ["settings", "session", "team", "user", "webhook"])


def change(admin, method, path, body, etag=None):
    headers = {} if etag is None else {"If-Match": etag}
    return admin.http.request(method, path, json=body, headers=headers)


@KINDS
def test_change_of_what_somebody_else_changed_meanwhile_is_refused(admin, objects, kind):
    path, method, first, second = objects(kind)
    seen = admin.http.get(path).headers["ETag"]
    done = change(admin, method, path, first, seen)
    assert done.status_code == 200
    late = change(admin, method, path, second, seen)
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    now = admin.http.get(path)
    assert now.headers["ETag"] == done.headers["ETag"] != seen
    assert now.json() == done.json()
    assert change(admin, method, path, second, f'"0", {now.headers["ETag"]}').status_code == 200


@pytest.mark.parametrize("etag", ['""', 'W/"1"', "1", '"", "u&R"', "x" * 5_000])
def test_etag_that_was_never_sent_matches_no_version(admin, objects, etag):
    path, method, first, _ = objects("team")
    assert change(admin, method, path, first, etag).status_code == 412


@KINDS
@pytest.mark.parametrize("etag", [None, "*"])
def test_change_of_any_version_needs_no_etag(admin, objects, kind, etag):
    path, method, first, second = objects(kind)
    assert change(admin, method, path, first, etag).status_code == 200
    assert change(admin, method, path, second, etag).status_code == 200


def test_verdict_that_another_window_changed_meanwhile_is_refused(user):
    scan_id = user.scan("Project has tight budget and aggressive deadline.").json()["scan_id"]
    path = f"/api/v1/scans/{scan_id}/findings/1/feedback"
    none = user.http.get(path).headers["ETag"]
    given = change(user, "PUT", path, {"verdict": "confirmed"}, none)
    assert given.status_code == 201
    late = change(user, "PUT", path, {"verdict": "rejected"}, none)
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert user.http.get(path).json()["own"]["verdict"] == "confirmed"
    assert user.http.get(path).headers["ETag"] == given.headers["ETag"] != none
    replaced = change(user, "PUT", path, {"verdict": "rejected"}, given.headers["ETag"])
    assert replaced.status_code == 200
    assert user.http.delete(path).status_code == 204
    assert user.http.get(path).headers["ETag"] == none


def test_of_changes_at_the_same_time_one_wins(admin, objects):
    path, method, *_ = objects("session")
    seen = admin.http.get(path).headers["ETag"]
    begin, statuses = threading.Barrier(6), []

    def rename(n):
        begin.wait()
        answer = change(admin, method, path, {"name": f"Bids {n}"}, seen)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=rename, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [412] * 5
