"""Repeated reads with REDIS_URL: answered from Redis until something changes, and only to the same user."""

from contextlib import closing
from uuid import UUID

import pytest
import redis

from service.domain.accounts import user_admin
from service.domain.audit import Actor
from service.domain.result_cache import LIFE_S, ResultCache
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until


@pytest.fixture
def store(redis_url):
    """The Redis database, without results."""
    client = redis.Redis.from_url(redis_url)
    for key in client.scan_iter("riskscan:results:*"):
        client.delete(key)
    yield client
    client.close()


@pytest.fixture(scope="module")
def cached(start_service):
    """A service with the result cache."""
    return start_service(REDIS_URL="redis://127.0.0.1:6379/9", RATE_LIMIT_STORAGE_URL="memory://")


def entries(store):
    return list(store.scan_iter("riskscan:results:entry:*"))


def kept(store):
    """Return the results in Redis, without their marks."""
    return [store.get(key)[12:] for key in entries(store)]


def scan(user):
    return user.scan().json()["scan_id"]


@pytest.mark.parametrize("address", ["", "/findings"])
def test_a_repeated_read_is_answered_from_redis(cached, make_user, store, address):
    user = make_user(cached)
    url = f"/api/v1/scans/{scan(user)}{address}"
    first = user.http.get(url)
    (key,) = entries(store)
    # What Redis holds is what the next read shows, so the database was not asked.
    store.set(key, store.get(key).replace(b"budget", b"BUDGET"), keepttl=True)
    second = user.http.get(url)
    assert second.content == first.content.replace(b"budget", b"BUDGET") != first.content
    assert second.headers["Content-Type"] == first.headers["Content-Type"]
    assert 0 < store.ttl(key) <= LIFE_S


def test_a_list_keeps_the_link_to_its_next_page(cached, make_user, store):
    user = make_user(cached)
    scan(user), scan(user)
    first, second = (user.http.get("/api/v1/scans?per_page=1") for _ in range(2))
    assert len(kept(store)) == 1
    assert first.headers["Link"] == second.headers["Link"]
    assert first.json() == second.json()


@pytest.mark.usefixtures("store")
def test_a_change_shows_at_the_next_read(cached, make_user):
    user = make_user(cached)
    scan_id = scan(user)
    url = f"/api/v1/scans/{scan_id}"

    def verdict():
        return user.http.get(f"{url}/findings").json()["items"][0]["feedback"]

    assert verdict() is None
    user.http.put(f"{url}/findings/1/feedback", json={"verdict": "confirmed"}).raise_for_status()
    assert verdict()["verdict"] == "confirmed"
    assert len(user.http.get("/api/v1/scans").json()["items"]) == 1
    scan(user)
    assert len(user.http.get("/api/v1/scans").json()["items"]) == 2
    assert user.http.get(url).status_code == 200
    user.http.delete(url).raise_for_status()
    assert user.http.get(url).status_code == 404
    assert len(user.http.get("/api/v1/documents").json()["items"]) == 1


READS = ("/scans/{scan}", "/scans/{scan}/findings", "/scans", "/documents", "/documents/{document}")


def test_no_other_user_gets_what_is_kept(cached, make_user, store):
    owner, other = make_user(cached), make_user(cached)
    scan_id = scan(owner)
    document_id = owner.http.get(f"/api/v1/scans/{scan_id}").json()["document_id"]
    for path in READS:
        url = "/api/v1" + path.format(scan=scan_id, document=document_id)
        assert owner.http.get(url).status_code == 200
        answer = other.http.get(url)
        assert answer.status_code == 404 or answer.json()["items"] == []
    assert len(kept(store)) >= 4


def test_reads_of_anothers_scan_are_not_kept(cached, make_user, store):
    owner, reviewer = make_user(cached), make_user(cached)
    make_reviewer(cached, reviewer)
    scan_id = scan(owner)
    for path in (f"/{scan_id}", f"/{scan_id}/findings", "?scope=reviewable"):
        answer = reviewer.http.get(f"/api/v1/scans{path}").raise_for_status()
        assert "n_findings" in answer.text or answer.json()["items"]
    assert kept(store) == []


def make_reviewer(service, user):
    run, actor = service.services.transactions.run, Actor(operator="cli:root")
    run(user_admin.set_role, UUID(user.id), "reviewer", actor=actor)


def test_writes_that_no_result_shows_keep_the_results(cached, make_user, store):
    user = make_user(cached)
    url = f"/api/v1/scans/{scan(user)}"
    user.http.get(url)
    mark = store.get("riskscan:results:mark")
    user.http.post(
        "/api/v1/auth/keys", json={"name": "a key", "scopes": ["read"]}
    ).raise_for_status()
    assert store.get("riskscan:results:mark") == mark


@pytest.fixture
def own_redis():
    server = RedisServer()
    yield server
    server.thaw()
    server.kill()


def test_a_write_that_redis_missed_counts_as_soon_as_it_answers(own_redis):
    with closing(ResultCache(own_redis.url, pause_s=0)) as cache:
        mark, _ = cache.get("key")
        cache.put("key", mark, b"old")
        assert cache.get("key")[1] == b"old"
        own_redis.freeze()
        cache.forget_after(frozenset({"scans"}))
        assert cache.get("key") == (None, None)
        own_redis.thaw()
        wait_until(lambda: cache.get("key")[0])
        assert cache.get("key")[1] is None


def test_only_one_call_in_a_while_waits_for_redis(own_redis):
    own_redis.freeze()
    with closing(ResultCache(own_redis.url)) as cache:
        for _ in range(1000):
            assert cache.get("key") == (None, None)
    own_redis.thaw()
    assert own_redis.n_commands() < 10


def test_a_result_that_was_read_before_a_write_is_not_kept_after_it(redis_url):
    with closing(ResultCache(redis_url)) as cache:
        mark, _ = cache.get("slow")
        cache.forget_after(frozenset({"findings"}))
        cache.put("slow", mark, b"old")
        assert cache.get("slow")[1] is None
