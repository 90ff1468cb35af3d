"""The connection breaks after each commit, before its answer: what ran again must not do it twice."""

import pytest

from tests.api.conftest import User

pytestmark = pytest.mark.every_database


@pytest.mark.usefixtures("answers_get_lost")
def test_account_is_made_and_logged_into_once(client):
    user = User(client)
    pair = client.post("/api/auth/refresh", json={"refresh_token": user.tokens["refresh_token"]})
    assert pair.status_code == 200
    again = client.post("/api/auth/refresh", json={"refresh_token": pair.json()["refresh_token"]})
    assert again.status_code == 200
    assert user.http.post("/api/auth/logout").status_code == 204
    user.http.close()


@pytest.mark.usefixtures("answers_get_lost")
def test_scan_is_stored_once_and_deleted(client):
    user = User(client)
    path = f"/api/scans/{user.scan().json()['scan_id']}"
    assert user.http.get("/api/scans").json()["total"] == 1
    assert user.http.delete(path).status_code == 204
    assert user.http.get("/api/scans").json()["total"] == 0
    user.http.close()


@pytest.mark.usefixtures("answers_get_lost")
def test_feedback_is_stored_once_and_withdrawn(client):
    user = User(client)
    path = f"/api/scans/{user.scan().json()['scan_id']}/findings/1/feedback"
    answers = [user.http.put(path, json={"verdict": v}) for v in ("confirmed", "rejected")]
    assert [a.status_code for a in answers] == [201, 200]
    assert user.http.delete(path).status_code == 204
    history = user.http.get(path).json()["history"]
    assert [row["verdict"] for row in history] == ["withdrawn", "rejected", "confirmed"]
    user.http.close()
