"""On a full disk every write is answered 503 with the cause, and readiness reports it."""

from tests.e2e.test_start_and_stop import log_in
from tests.support.calls import HTTP
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until


def test_write_on_a_full_disk_is_503_and_readiness_names_the_cause(riskscan, start):
    assert riskscan("db", "upgrade").returncode == 0
    process = start(ulimit="-f 2000")  # in blocks of 512 bytes, as sh counts them
    headers = log_in(process.url)

    def scan():
        return HTTP.post(f"{process.url}/api/scan", json={"text": FLOW_TEXT}, headers=headers)

    first = scan().json()["scan_id"]
    wait_until(lambda: scan().status_code == 503)
    responses = [scan(), HTTP.delete(f"{process.url}/api/scans/{first}", headers=headers)]
    assert all("disk is full" in answer.json()["detail"] for answer in responses)
    assert "disk is full" in process.wait_until("/health/ready", 503).json()["detail"]
