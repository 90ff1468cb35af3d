"""Log lines: complete, in order, and all written before the process ends."""

import json
import subprocess
import sys
import threading

import pytest

from tests.support.waiting import PATIENCE_S

N_LINES = 30_000  # three times as many as the queue holds
PROGRAM = f"""
import logging, sys
from service.observability import logging as logs
logs.configure("INFO")
log = logging.getLogger("test")
log.info("first")
for n in range({N_LINES}):
    log.info("line", extra=logs.fields(n=n))
print("done", flush=True)
sys.stdin.readline()
log.info("last")
"""


@pytest.fixture
def writer():
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    yield process
    process.kill()
    process.wait(PATIENCE_S)
    for end in (process.stdin, process.stdout, process.stderr):
        end.close()


def test_lines_are_whole_and_in_order_when_the_process_ends(writer):
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(writer.stderr))
    reader.start()
    assert writer.stdout.readline() == "done\n"
    writer.stdin.close()
    assert writer.wait(PATIENCE_S) == 0
    reader.join(PATIENCE_S)

    logged = [json.loads(line) for line in lines]
    assert [line["n"] for line in logged[1:-1]] == list(range(N_LINES))
    assert logged[-1]["message"] == "last"


def test_log_to_a_full_pipe_blocks_the_process_and_loses_no_line(writer):
    writer.stdin.close()
    first = writer.stderr.readline()  # the pipe and the queue hold fewer lines than follow
    assert writer.poll() is None

    lines = [first, *writer.stderr]

    assert writer.wait(PATIENCE_S) == 0
    assert [json.loads(line)["n"] for line in lines[1:-1]] == list(range(N_LINES))


PDF_PROGRAM = """
import logging
from fpdf import FPDF
from service.domain.reports.fonts import installed_fonts
from service.observability import logging as logs
logs.configure("DEBUG")
pdf = FPDF()
pdf.add_font("report", "", installed_fonts(())[0])
pdf.set_font("report")
pdf.add_page()
pdf.cell(text="Quartz")
print(len(bytes(pdf.output())))
logging.getLogger("test").info("last")
"""


def test_fonts_of_a_pdf_log_no_characters_of_the_document():
    command = [sys.executable, "-c", PDF_PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 1000
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines[-1]["message"] == "last"
    assert [line for line in lines if line["logger"].startswith("fontTools")] == []
