"""Documents of a batch are done exactly once, whatever is killed; batch_crashes.py has the kills."""

import pytest

from tests.e2e.batch_crashes import crash

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("in_process", [False, True], ids=["workers", "in-process"])
@pytest.mark.timeout(3600)
def test_each_of_500_documents_is_done_once_under_kills(in_process):
    found = crash(n_documents=500, n_worker_kills=20, n_database_kills=5, in_process=in_process)
    assert found["batch"] == {"done": 500}
    rows = ("n_done", "n_scans_of_items", "n_scans", "n_documents", "n_scan_events")
    assert [found[name] for name in rows] == [500] * 5
    assert found["n_finished_events"] == 1
    assert found["n_findings"] == found["n_findings_of_scans"]
