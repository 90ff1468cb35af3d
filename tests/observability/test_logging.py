"""Log lines: whole, in order, all written by the end."""

import json
import subprocess
import sys
import threading
import time

import pytest

from tests.support.waiting import PATIENCE_S

MANY = 30_000
WRITES = f"""
import logging, sys
from service import logs
logs.configure("INFO")
log = logging.getLogger("test")
for n in range({MANY}):
    log.info("line", extra=logs.fields(n=n))
print("done", flush=True)
sys.stdin.readline()
log.info("last")
"""


@pytest.fixture
def writer():
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    yield process
    process.kill()
    process.wait(PATIENCE_S)
    for end in (process.stdin, process.stdout, process.stderr):
        end.close()


def test_lines_come_whole_and_in_order_until_the_process_ends(writer):
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(writer.stderr))
    reader.start()
    assert writer.stdout.readline() == "done\n"
    writer.stdin.close()
    assert writer.wait(PATIENCE_S) == 0
    reader.join(PATIENCE_S)

    told = [json.loads(line) for line in lines]
    assert [line["n"] for line in told[:-1]] == list(range(MANY))
    assert told[-1]["message"] == "last"


def test_standard_error_that_nobody_reads_for_a_while_misses_nothing(writer):
    writer.stdin.close()
    time.sleep(0.5)  # long enough for more lines than may wait

    lines = list(writer.stderr)

    assert writer.wait(PATIENCE_S) == 0
    assert [json.loads(line)["n"] for line in lines[:-1]] == list(range(MANY))
