"""Peak memory of a hostile file in the sandbox and the service together, as the kernel measures it."""

import json
import subprocess
import sys

import pytest

from tests.nlp.extraction.test_limits import HOSTILE
from tests.support import documents

# A process of its own, which stands for the service. Its own peak is VmHWM, since ru_maxrss starts at the
# peak of the process that started it.
MEASURE = """
import json, pathlib, re, sys
sys.path.insert(0, sys.argv[1])
from service.errors import RiskscanError
from service.nlp.extraction.extractor import Extractor
from tests.support.child_memory import WORKER, ChildMemory
data = pathlib.Path(sys.argv[2]).read_bytes()
limits = json.loads(sys.argv[3])
with ChildMemory() as memory:
    try:
        outcome = len(Extractor(**limits, worker=WORKER).extract(
            data, filename=sys.argv[2], media_type=None).text)
    except RiskscanError as error:
        outcome = error.code
    child = memory.peak_bytes() or limits["memory_bytes"]
own = re.search("VmHWM:\\\\s*([0-9]+)", pathlib.Path("/proc/self/status").read_text())
print(json.dumps([outcome, int(own[1]) * 1024 + child]))
"""
LARGE = [
    (lambda: b"<div>" * 300_000, "a.html", "unreadable_document"),
    (lambda: b"<p title='late'>" * 100_000, "a.html", 500_000),
    pytest.param(
        lambda: b"<a " + b"b " * 10_000_000 + b">",
        "a.html",
        "unreadable_document",
        marks=pytest.mark.slow,
    ),
    (lambda: b"\0" * 26_000_000, "a.txt", "unreadable_document"),
    (lambda: b"a\n\n" * 400_000, "a.txt", 1_200_000),
    (lambda: b"a," * 500_000, "a.csv", 1_000_001),
    pytest.param(
        lambda: documents.docx_of_xml("<w:p/>" * 3_000_000),
        "a.docx",
        "unreadable_document",
        marks=pytest.mark.slow,
    ),
    (lambda: documents.docx_of_xml("", chart="<v>a</v>" * 300_000), "a.docx", 600_000),
    (lambda: documents.pdf_with_many_comments(20_000), "a.pdf", 11_001),
]


@pytest.mark.parametrize(
    ("build", "filename", "outcome"),
    [(build, filename, error.code) for build, filename, error, _ in HOSTILE[:2]] + LARGE,
)
def test_extract_hostile_file_takes_less_than_a_gigabyte(tmp_path, build, filename, outcome):
    path = tmp_path / filename
    path.write_bytes(build())
    command = [sys.executable, "-c", MEASURE, ".", str(path), json.dumps(documents.limits())]
    done = subprocess.run(command, capture_output=True, check=True, cwd=documents.ROOT)
    measured_outcome, n_bytes = json.loads(done.stdout)
    assert measured_outcome == outcome
    assert n_bytes < 1_000_000_000
