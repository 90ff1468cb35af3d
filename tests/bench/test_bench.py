"""Every benchmark of the service runs through and publishes, at sizes that measure nothing."""

import json
import sys
from itertools import islice

import pytest

from service.nlp.extraction.extractor import extract_text
from service.nlp.segmentation.segmenter import Segmenter
from tests.bench import __main__ as bench
from tests.bench.load import open_loop
from tests.bench.options import Options
from tests.bench.over_http import requests_of
from tests.bench.sentences import Documents, authored, endless
from tests.bench.servers import riskscan, running

pytestmark = pytest.mark.slow
DATABASE = {"over-http", "memory", "listing", "under-load"}


@pytest.fixture(scope="module")
def environments():
    """The load generator's environment, which `make test-slow` installs: it cannot share this process's."""
    folder = Options().environments
    assert Options().python_of("load").exists(), (
        f"make {folder / 'load' / '.installed'} installs it"
    )
    return folder


@pytest.mark.parametrize("name", bench.BENCHMARKS)
def test_benchmark_publishes_table_json_and_plot(name, environments, tmp_path, capsys):
    sizes = ["--rounds", "1", "--seconds", "1", "--warm-s", "0.5", "--scale", "0.002"]
    places = ["--out", tmp_path, "--service-python", sys.executable, "--environments", environments]
    bench.main([name, *sizes, *map(str, places)])
    shown = capsys.readouterr().out
    if name in DATABASE and "Not measured: no mysql server" in shown:
        pytest.skip("no mysql server")
    kept = json.loads((tmp_path / f"{name}.json").read_text())
    assert len(kept["table"]) > 1
    assert kept["where"]["machine"]
    assert f"## {kept['title']}" in shown
    assert "<svg" in (tmp_path / f"{name}.svg").read_text()


def test_open_loop_sends_what_is_due_and_tells_answers_from_refusals(environments, tmp_path):
    options = Options(
        seconds=1, warm_s=0.5, service_python=sys.executable, environments=environments
    )
    requests = requests_of(islice(endless(), 1_500), "/scan")
    with running(riskscan(options, tmp_path, THREADS=1)) as server:
        load = open_loop(server, requests, options, per_s=1_000, deadline_s=60)
    assert load.n_accepted + load.n_refused == pytest.approx(1_000, abs=1)
    assert load.n_accepted > 0 < load.n_refused
    assert load.goodput_per_s > 0
    assert load.n_late == load.n_failed == 0


def test_document_is_read_as_the_sentences_that_it_was_made_of():
    text, sentences = Documents(endless()).next()
    found = Segmenter().segment(extract_text(text, max_chars=len(text))).sentence_texts()
    assert found == sentences
    assert len(set(sentences)) == 100


def test_stream_goes_on_after_the_last_authored_sentence_without_repeating_one():
    stream, n = endless(), len(authored()) + 5_000
    assert len({next(stream) for _ in range(n)}) == n
