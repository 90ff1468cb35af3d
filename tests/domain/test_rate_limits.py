"""Rate limits: per caller and setting, shared through Redis, and local while Redis is down."""

import uuid

import pytest

from service.domain.limit_storage import LimitStorage
from service.domain.rate_limits import RateLimit
from service.errors import RateLimited


@pytest.fixture
def setting():
    """A name of its own, so that no earlier run has used up its quota in Redis."""
    return f"TEST_{uuid.uuid4().hex}"


def test_spend_beyond_the_quota_refuses_that_caller_alone(setting):
    limit = RateLimit("2 per hour", setting=setting, storage=LimitStorage())
    limit.spend("ann")
    limit.spend("ann")
    limit.spend("bob")
    with pytest.raises(RateLimited, match=rf"2 per 1 hour \({setting}\)") as caught:
        limit.spend("ann")
    assert 0 < caught.value.retry_after_s <= 3600


def test_spend_without_a_rate_is_unlimited(setting):
    limit = RateLimit("", setting=setting, storage=LimitStorage())
    for _ in range(100):
        limit.spend("ann")


def test_spend_in_two_processes_shares_a_quota_through_redis(redis_url, setting):
    first, second = (
        RateLimit("2 per minute", setting=setting, storage=LimitStorage(redis_url))
        for _ in range(2)
    )
    first.spend("ann")
    second.spend("ann")
    with pytest.raises(RateLimited) as caught:
        first.spend("ann")
    assert 0 < caught.value.retry_after_s <= 60


def test_spend_for_two_settings_counts_separately_in_redis(redis_url, setting):
    for name in (setting, f"{setting}_2"):
        RateLimit("1 per minute", setting=name, storage=LimitStorage(redis_url)).spend("ann")


def test_spend_with_redis_down_counts_in_this_process(setting, caplog):
    limit = RateLimit("2 per minute", setting=setting, storage=LimitStorage("redis://127.0.0.1:1"))
    limit.spend("ann")
    limit.spend("ann")
    with pytest.raises(RateLimited):
        limit.spend("ann")
    assert [r.getMessage() for r in caplog.records if "RATE_LIMIT_STORAGE_URL" in r.message] == [
        "RATE_LIMIT_STORAGE_URL is unavailable (ConnectionError); this process counts by itself"
    ]


def test_require_counts_nothing_and_count_refuses_nothing(setting):
    limit = RateLimit("1 per hour", setting=setting, storage=LimitStorage())
    limit.require("ann")
    limit.require("ann")
    limit.count("ann")
    limit.count("ann")
    with pytest.raises(RateLimited):
        limit.require("ann")


def test_first_of_several_rates_that_is_used_up_is_named(setting):
    limit = RateLimit("1 per minute; 2 per hour", setting=setting, storage=LimitStorage())
    limit.count("ann")
    with pytest.raises(RateLimited, match="1 per 1 minute") as early:
        limit.require("ann")
    assert early.value.retry_after_s <= 60


def test_several_rates_with_redis_down_wait_for_it_once(setting, caplog):
    rates = "5 per minute; 10 per hour; 20 per day"
    limit = RateLimit(rates, setting=setting, storage=LimitStorage("redis://127.0.0.1:1"))
    for _ in range(3):
        limit.count("ann")
    assert len([r for r in caplog.records if "RATE_LIMIT_STORAGE_URL" in r.message]) == 1
