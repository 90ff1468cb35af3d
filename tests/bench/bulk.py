"""`python -m tests.bench bulk`: documents a second of a bulk scan, beside the same scanner without Ray.

A round measures both, one after the other, on the same archive of short documents whose sentences do not
repeat. Without Ray, a plain process for each core scans its share of the archive, which it has in memory. The
time to load models and to start Ray is listed apart.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from service.config import settings
from service.jobs.bulk.documents import text_document
from service.jobs.bulk.reader import BLOCK_BYTES
from service.jobs.bulk.scanner import WorkerOptions, open_scanner
from service.jobs.bulk.tables import documents_table
from service.nlp.cpu_quota import cpu_quota
from service.nlp.inference.default_model import default_folder
from tests.bench.options import ROOT
from tests.bench.plots import bars
from tests.bench.results import Result, Target, median, spread
from tests.bench.sentences import endless
from tests.support.archives import write_archive

N_DOCUMENTS = 4_000
SHARE = 0.8
"""Of the bare scanner's documents a second, at least."""
_SETTLED = 0.1
"""Share of the documents that no figure counts: until then, some workers still load their model."""


def run(options):
    """Measure both in each round; the ratio is taken within a round."""
    n, sentences = options.size(N_DOCUMENTS), endless()
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            archive = write_archive(Path(folder) / "archive.jsonl", n, sentences)
            rounds.append({"bare": bare(archive), "bulk": bulk(archive, Path(folder) / "results")})
    speeds = {name: [r[name]["documents_per_s"] for r in rounds] for name in ("bare", "bulk")}
    ratios = [b / a for a, b in zip(speeds["bare"], speeds["bulk"], strict=True)]
    starts = [r["bulk"]["start_s"] for r in rounds]
    return Result(
        name="bulk",
        title="Bulk scans",
        head=("", "documents/s"),
        rows=[
            ("plain processes", spread(speeds["bare"])),
            ("service bulk", spread(speeds["bulk"])),
        ],
        figures={"rounds": rounds},
        panels=[bars(speeds, "documents/s")],
        targets=[Target("bulk / plain processes", median(ratios), SHARE)],
        notes=(
            f"{n:,} documents of 5 to 20 sentences; {cpu_quota()} cores",
            f"starting Ray and the models takes {spread(starts, 1)} s",
        ),
    )


def bare(archive):
    """Return the figures of plain processes, one for each core."""
    command = [sys.executable, "-m", "tests.bench.bulk", str(archive), str(cpu_quota())]
    processes = [
        subprocess.Popen(
            [*command, str(k)], cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE
        )
        for k in range(cpu_quota())
    ]
    for process in processes:
        process.stdout.readline()  # its model is loaded
    began_s = time.perf_counter()
    for process in processes:  # before `communicate` waits for the first of them
        process.stdin.write(b"\n")
        process.stdin.flush()
    answers = [process.communicate()[0] for process in processes]
    took_s = time.perf_counter() - began_s
    return {"documents_per_s": sum(json.loads(answer) for answer in answers) / took_s}


def bulk(archive, sink):
    """Return the figures of the command, from the times at which its part files were complete."""
    command = [sys.executable, "-m", "service", "bulk", str(archive), str(sink)]
    began_s = time.time()
    subprocess.run([*command, "--part-seconds", "0"], cwd=ROOT, check=True, capture_output=True)
    parts = sorted((p.stat().st_mtime, pq.read_metadata(p).num_rows) for p in sink.glob("part-*"))
    n = sum(rows for _, rows in parts)
    n_before, at = 0, 0
    while n_before < _SETTLED * n:
        n_before += parts[at][1]
        at += 1
    took_s = max(1e-3, parts[-1][0] - parts[at - 1][0])
    return {"documents_per_s": (n - n_before) / took_s, "start_s": parts[0][0] - began_s}


def scan_share(archive, n_processes, k):
    """Scan every n-th document after the k-th, in blocks as large as those of a bulk scan."""
    config = settings.load()
    scanner = open_scanner(WorkerOptions(config, default_folder(config)))
    with Path(archive).open(encoding="utf-8") as file:
        lines = [json.loads(line) for n, line in enumerate(file) if n % n_processes == k]
    documents = [text_document(line["id"], line["text"], share=1) for line in lines]
    size = max(1, BLOCK_BYTES * len(documents) // sum(len(d.content) for d in documents))
    blocks = [documents_table(documents[i : i + size]) for i in range(0, len(documents), size)]
    print("ready", flush=True)
    sys.stdin.readline()
    print(sum(len(scanner.scan_block(block)) for block in blocks))
    scanner.close()


if __name__ == "__main__":
    scan_share(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
