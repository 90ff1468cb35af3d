"""Nothing that was acknowledged is lost or stored twice, whichever process is killed."""

import pytest

from tests.e2e.crashes import crash


@pytest.mark.slow
def test_acknowledged_scans_outlive_killed_databases_and_services():
    result = crash(n_writers=8, n_database_kills=4, n_service_kills=2)
    assert result["n_acknowledged"] > 100
    assert result["lost"] == result["incomplete"] == result["errors"] == []
    assert result["doubled"] == 0
    assert result["n_stored"] == result["n_events"]
