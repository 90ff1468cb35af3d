"""What a hostile file costs at most: memory of the reader and of the service, measured by the kernel."""

import json
import subprocess
import sys

import pytest

from tests.nlp.extraction.test_limits import HOSTILE, SLOW_MACHINE_S
from tests.support import documents

# A process of its own, so that no earlier child counts. Its own peak comes from VmHWM: ru_maxrss would
# begin at the peak of the process that started it.
MEASURE = """
import json, pathlib, re, resource, sys, time
sys.path.insert(0, sys.argv[1])
from service.errors import RiskscanError
from service.nlp.extraction.extractor import Extractor
data, began = pathlib.Path(sys.argv[2]).read_bytes(), time.process_time()
try:
    outcome = len(Extractor(**json.loads(sys.argv[3])).extract(
        data, filename=sys.argv[2], media_type=None).text)
except RiskscanError as error:
    outcome = error.code
own = re.search("VmHWM:\\\\s*([0-9]+)", pathlib.Path("/proc/self/status").read_text())
child = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds = time.process_time() - began + child.ru_utime + child.ru_stime
print(json.dumps([outcome, int(own[1]) + child.ru_maxrss, seconds]))
"""
FURTHER = [
    (lambda: b"<div>" * 300_000, "a.html"),
    (lambda: b"<p title='late'>" * 300_000, "a.html"),
    (lambda: b"<a " + b"b " * 10_000_000 + b">", "a.html"),
    (lambda: b"\0" * 26_000_000, "a.txt"),
    (lambda: b"a\n\n" * 400_000, "a.txt"),
    (lambda: b"a," * 500_000, "a.csv"),
    (lambda: documents.docx_of_xml("<w:p/>" * 3_000_000), "a.docx"),
    (lambda: documents.docx_of_xml("", chart="<v>a</v>" * 300_000), "a.docx"),
    (lambda: documents.docx_that_lists_its_body(times=300, text="Once."), "a.docx"),
    (lambda: documents.pdf_with_many_comments(20_000), "a.pdf"),
]


@pytest.mark.parametrize(("build", "filename"), [row[:2] for row in HOSTILE] + FURTHER)
def test_hostile_file_costs_less_than_a_gigabyte_and_half_a_minute(tmp_path, build, filename):
    path = tmp_path / filename
    path.write_bytes(build())
    command = [sys.executable, "-c", MEASURE, ".", str(path), json.dumps(documents.limits())]
    done = subprocess.run(command, capture_output=True, check=True, cwd=documents.ROOT)
    outcome, kib, seconds = json.loads(done.stdout)
    assert outcome
    assert kib * 1024 < 1_000_000_000
    assert seconds < SLOW_MACHINE_S
