"""What the service depends on breaks: it answers as documented, and recovers."""

import pytest

from tests.e2e.faults import disk_faults, llm_faults, redis_faults, replica_faults

pytestmark = pytest.mark.slow


def wrong(outcomes):
    return [str(outcome) for outcome in outcomes if outcome.wrong]


def test_redis_away_and_hanging_fails_no_request(tmp_path):
    assert wrong(redis_faults.run(tmp_path)) == []


def test_full_disk_refuses_writes_and_damages_nothing(tmp_path):
    assert wrong(disk_faults.run(tmp_path)) == []


def test_faulty_llm_gets_its_callers_502_or_503_and_delays_no_one_else(tmp_path):
    assert wrong(llm_faults.run(tmp_path)) == []


@pytest.mark.parametrize("n_replicas", [2, 4])
@pytest.mark.parametrize("backend", ["mysql", "postgresql"])
def test_replicas_that_start_at_once_all_become_ready(tmp_path, backend, n_replicas):
    assert wrong([replica_faults.run(tmp_path, backend, n_replicas)]) == []
