"""Each benchmark of the service runs to its end and publishes, at tiny sizes."""

import json
import sys
from itertools import islice

import pytest

from service.nlp.extraction.extractor import extract_text
from service.nlp.segmentation.segmenter import Segmenter
from tests.bench import __main__ as bench
from tests.bench.load import open_loop
from tests.bench.options import Options
from tests.bench.over_http import scan_requests
from tests.bench.sentences import Documents, authored, endless
from tests.bench.servers import riskscan, running

pytestmark = pytest.mark.slow
DATABASE = {"over-http", "memory", "listing", "reports", "scan-cost", "search", "under-load"}


@pytest.fixture(scope="module")
def environments():
    """The load generator's environment, which `make test-slow` installs: it cannot share this process's."""
    folder = Options().environments
    assert Options().interpreter("load").exists(), (
        f"make {folder / 'load' / '.installed'} installs it"
    )
    return folder


@pytest.mark.parametrize("name", bench.BENCHMARKS)
def test_benchmark_publishes_table_json_and_plot(name, environments, tmp_path, capsys):
    sizes = ["--rounds", "1", "--seconds", "1", "--warm-s", "0.5", "--scale", "0.002"]
    places = ["--out", tmp_path, "--service-python", sys.executable, "--environments", environments]
    bench.main([name, *sizes, *map(str, places)])
    stdout = capsys.readouterr().out
    if name in DATABASE and "Not measured: no mysql server" in stdout:
        pytest.skip("no mysql server")
    document = json.loads((tmp_path / f"{name}.json").read_text())
    assert len(document["table"]) > 1
    assert document["where"]["machine"]
    assert f"## {document['title']}" in stdout
    assert "<svg" in (tmp_path / f"{name}.svg").read_text()


def test_open_loop_above_capacity_counts_answers_and_refusals(environments, tmp_path):
    options = Options(
        seconds=1, warm_s=0.5, service_python=sys.executable, environments=environments
    )
    requests = scan_requests(islice(endless(), 1_500), "/scan")
    with running(riskscan(options, tmp_path, THREADS=1)) as server:
        load = open_loop(server, requests, options, per_s=1_000, deadline_s=60)
    assert load.n_accepted + load.n_refused == pytest.approx(1_000, abs=1)
    assert load.n_accepted > 0 < load.n_refused
    assert load.goodput_per_s > 0
    assert load.n_late == load.n_failed == 0


def test_document_of_the_supply_is_segmented_into_its_sentences():
    text, sentences = Documents(endless()).next()
    segmented = Segmenter().segment(extract_text(text, max_chars=len(text))).sentence_texts()
    assert segmented == sentences
    assert len(set(sentences)) == 100


def test_stream_beyond_the_authored_sentences_repeats_none():
    stream, n = endless(), len(authored()) + 5_000
    assert len({next(stream) for _ in range(n)}) == n
