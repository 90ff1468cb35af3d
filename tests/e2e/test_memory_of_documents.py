"""Peak memory of the service process (VmHWM) with the largest tables and texts."""

import re
from pathlib import Path

import pytest

from tests.support.calls import HTTP

MAX_GROWTH_KIB = 200_000
"""Growth of the peak. Measured: 45,000; with an object per block and sentence it was 1,300,000."""
DOCUMENTS = {
    "wide.csv": ",".join("ab"[n % 2] for n in range(990_000)),
    "long.csv": "a,b\n" * 490_000,
    "paragraphs.txt": "x\n\n" * 700_000,
}


def peak_kib(process):
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


@pytest.mark.parametrize("filename", DOCUMENTS)
def test_document_of_a_million_blocks_grows_memory_little(start, filename):
    service = start(AI_SERVICE_OPEN="true", EXTRACT_TIMEOUT_S="60", AI_TIMEOUT_S="300")
    HTTP.post(f"{service.url}/scan", json={"text": "The vendor may fail."}).raise_for_status()
    before = peak_kib(service)
    files = {"file": (filename, DOCUMENTS[filename])}
    HTTP.post(f"{service.url}/scan", files=files).raise_for_status()
    assert peak_kib(service) - before < MAX_GROWTH_KIB
