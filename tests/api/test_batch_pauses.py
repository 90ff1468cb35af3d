"""What makes documents of batches wait, and which batches wait with them: quotas, LLM budget, readers."""

import pytest

from service.errors import Overloaded, RateLimited
from tests.api.batching import counts, get, items, sent, texts
from tests.api.test_batches import run_all
from tests.api.test_llm_use import use_tokens
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def idle(start_service):
    """A service that leaves the documents to the test."""
    return start_service(BATCH_WORKERS="0", SCAN_RATE_LIMIT="3 per minute")


@pytest.fixture
def limited(start_service, make_user, llm):
    """The same with an LLM of 3,000 tokens a day, and a user of it."""
    settings = {"LLM_BASE_URL": llm.base_url, "LLM_MODEL": "rules", "LLM_DAILY_TOKENS": "3000"}
    live = start_service(BATCH_WORKERS="0", **settings)
    return live, make_user(live)


def test_used_up_scan_quota_pauses_all_batches_of_the_user(idle, make_user):
    user, other = make_user(idle), make_user(idle)
    batches = [sent(user, texts(4)), sent(user, texts(4))]
    late = sent(other, texts(1))
    run_all(idle)
    assert sum(get(user, batch)["n_done"] for batch in batches) == 3
    assert get(other, late)["n_done"] == 1


@pytest.mark.parametrize("error", [RateLimited, Overloaded])
def test_busy_document_readers_pause_only_the_batch(idle, make_user, monkeypatch, error):
    user, runs = make_user(idle), idle.services.batch_runs
    batches = {batch.rpartition("/")[2]: batch for batch in (sent(user, texts(2)) for _ in "ab")}
    run = runs.claim("test")
    with monkeypatch.context() as patched:
        patched.setattr(idle.services.scans, "create", refusing(error))
        runs.execute(run)
    paused = batches.pop(str(run.item.batch_id))
    run_all(idle)
    assert [item["attempts"] for item in items(user, paused)] == [0, 0]
    assert [counts(get(user, batch)) for batch in batches.values()] == [{"done": 2}]


def refusing(error):
    def create(*_args, **_kwargs):
        raise error("The document readers are busy.", retry_after_s=60)

    return create


def test_used_up_llm_budget_pauses_only_the_batch(limited, llm):
    live, user = limited
    use_tokens(user.http, llm, 2500)
    forced, plain = sent(user, texts(2), force_llm="true"), sent(user, texts(2))
    run_all(live)
    assert (counts(get(user, forced)), counts(get(user, plain))) == ({"waiting": 2}, {"done": 2})
    assert [item["attempts"] for item in items(user, forced)] == [0, 0]


def test_document_that_needs_more_than_the_llm_budget_of_a_day_fails_alone(limited):
    live, user = limited
    many = " ".join(f"Ship number {n} may miss its deadline." for n in range(60))
    large = [("file", ("large.txt", many.encode()))]
    batch = sent(user, [*large, *texts(1)], force_llm="true")
    wait_until(lambda: run_all(live) or get(user, batch)["state"] == "finished")
    [failed] = items(user, batch, state="failed")
    assert (failed["name"], failed["problem"]["code"]) == ("large.txt", "too_large")
    assert "LLM_DAILY_TOKENS" in failed["problem"]["detail"]
    assert counts(get(user, batch)) == {"done": 1, "failed": 1}
