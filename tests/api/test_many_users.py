"""Many users at once, each with scans of their own; and one user of several processes, with one quota."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.calls import caller

N_USERS = 8


def use(user):
    """Store three scans, each sent twice with its key, then delete the first; return the ids left."""
    answers = [user.scan(headers={"Idempotency-Key": f"key-{n % 3}"}) for n in range(6)]
    assert {answer.status_code for answer in answers} == {201}
    first, *left = dict.fromkeys(answer.json()["scan_id"] for answer in answers)
    assert user.http.delete(f"/api/scans/{first}").status_code == 204
    return left


@pytest.mark.every_database
def test_users_at_once_each_keep_their_own_scans(new_user):
    users = [new_user() for _ in range(N_USERS)]
    with ThreadPoolExecutor(N_USERS) as pool:
        left = list(pool.map(use, users))
    listed = [user.http.get("/api/scans").json()["items"] for user in users]
    assert [[item["scan_id"] for item in items] for items in listed] == [ids[::-1] for ids in left]
    for user, ids in zip(users, left[1:] + left[:1], strict=True):
        assert user.http.get(f"/api/scans/{ids[0]}").status_code == 404


def test_services_on_one_database_share_the_quota_of_a_user(
    start_service, redis_url, new_user, live
):
    settings = {"SCAN_RATE_LIMIT": "3 per hour", "RATE_LIMIT_STORAGE_URL": redis_url}
    database_url = live.services.config.database_url
    both = [start_service(**settings, DATABASE_URL=database_url) for _ in range(2)]
    user = new_user()
    statuses = []
    for service in both * 2:
        with caller(service.url, headers=user.http.headers) as http:
            statuses.append(http.post("/api/scan", json={"text": "All is well."}).status_code)
    assert statuses == [201, 201, 201, 429]
