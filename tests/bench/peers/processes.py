"""`python -m tests.bench.peers.processes`: WEB_PROCESSES beside workers of LitServe with our int8 file.

Single sentences from 32 clients to 1, 2 and 4 processes, each with the threads that one has by default.
LitServe has one thread for each core, divided among its workers, and the faster of its two queues for each
number of workers, which a short trial finds. All servers take turns on the same sentences; those that are not
measured are paused.
"""

import contextlib
import os
import time
from dataclasses import replace

import httpx

from service.config import settings as config
from service.nlp.artifacts import artifact as artifacts
from service.nlp.cpu_quota import cpu_quota
from tests.bench.options import argument_parser, options_from
from tests.bench.over_http import SINGLE_CLIENTS, Supply, scan_requests
from tests.bench.peers.candidates import peers
from tests.bench.peers.convert import convert
from tests.bench.peers.trials import best, speed, trials
from tests.bench.plots import bars
from tests.bench.results import Result, Target, median, spread
from tests.bench.servers import end_with_the_benchmark, riskscan

_PEER = "LitServe, our int8 file"
_OURS = "Riskscan"
_COUNTS = (1, 2, 4)
_KIND = "sentences"
_FIGURES = {
    "sentences_per_s": ("sentences/s", 0),
    "p50_ms": ("p50 ms", 1),
    "p95_ms": ("p95 ms", 1),
    "server_cores": ("cores", 2),
    "pss_mb": ("PSS MB", 0),
}
"""The columns of the table, with their titles and decimals."""
_POLL_S = 0.1


def main(arguments=None):
    """Try LitServe's queues, measure in rounds, publish."""
    parser = argument_parser("Measure several processes of the service beside LitServe's workers.")
    parser.add_argument("--counts", type=int, nargs="+", default=_COUNTS, help="processes to try")
    parsed = parser.parse_args(arguments)
    options = options_from(parsed)
    options.out.mkdir(parents=True, exist_ok=True)
    artifact = artifacts.load(config.load().model_dir)
    known = peers(convert(options.out / "classifier"), artifact.manifest)
    peer = next(peer for peer in known if peer.name == _PEER)
    supply = Supply(options)
    chosen = {
        n: best(trials(_with_workers(peer, n), supply, options, artifact.golden()), _KIND)
        for n in parsed.counts
    }
    with contextlib.ExitStack() as stack:
        servers = _start(stack, peer, chosen, options)
        rounds = [_round(servers, peer, supply, options, i) for i in range(options.rounds)]
    _result(parsed.counts, rounds).publish(options)


def _with_workers(peer, n):
    """Return the peer with n workers in each of its queues."""
    threads = str(max(1, cpu_quota() // n))
    settings = [{**s, "WORKERS": str(n), "THREADS": threads} for s in peer.settings]
    return replace(peer, settings=[s for i, s in enumerate(settings) if s not in settings[:i]])


def _start(stack, peer, chosen, options):
    """Start every server and pause it; the stack stops it."""
    servers = {}
    for n, settings in chosen.items():
        folder = options.out / f"processes-{n}"
        for name, server in (
            (_OURS, riskscan(options, folder, WEB_PROCESSES=n)),
            (_PEER, peer.server(settings, options)),
        ):
            stack.callback(server.stop)
            server.wait_until_healthy()
            if name == _OURS and n > 1:
                _wait_for_all(server, n)
            server.pause()
            servers[n, name] = server
    return servers


def _wait_for_all(server, n):
    """Wait until all n processes are ready: the service is ready with the first."""
    with httpx.Client(base_url=server.url, verify=False) as client:
        while f"{n} of {n}" not in client.get("/health/ready").text:
            time.sleep(_POLL_S)


def _round(servers, peer, supply, options, index):
    """Load every server with the same sentences, the peer first in every second round."""
    texts = supply.singles()
    posts = {
        _OURS: scan_requests(texts, "/scan"),
        _PEER: [peer.request([text]) for text in texts],
    }
    figures = {"load": os.getloadavg()[0]}
    keys = list(servers)
    for n, name in keys if index % 2 == 0 else keys[::-1]:
        server = servers[n, name]
        server.resume()
        try:
            measured = speed(server, posts[name], _KIND, options)
            figures[_key(n, name)] = measured | {"pss_mb": server.proportional_mb()}
        finally:
            server.pause()
    print(_line(figures), flush=True)
    return figures


def _key(n, name):
    return f"{n} {name}"


def _line(figures):
    speeds = (f"{k} {f['sentences_per_s']:.0f}" for k, f in figures.items() if k != "load")
    return f"sentences/s at load {figures['load']:.1f}: " + ", ".join(speeds)


def _result(counts, rounds):
    columns = {
        (n, name): {figure: [r[_key(n, name)][figure] for r in rounds] for figure in _FIGURES}
        for n in counts
        for name in (_OURS, _PEER)
    }
    speeds = {_key(*key): column["sentences_per_s"] for key, column in columns.items()}
    ratios = {
        n: [a / b for a, b in zip(speeds[_key(n, _OURS)], speeds[_key(n, _PEER)], strict=True)]
        for n in counts
    }
    rows = [
        (
            str(n),
            name,
            spread(ratios[n], 2) if name == _OURS else "",
            *(spread(column[figure], digits) for figure, (_, digits) in _FIGURES.items()),
        )
        for (n, name), column in columns.items()
    ]
    load = spread([r["load"] for r in rounds], 1)
    return Result(
        name="processes",
        title=f"Single sentences from {SINGLE_CLIENTS} clients to several processes",
        head=("processes", "server", "times LitServe", *(title for title, _ in _FIGURES.values())),
        rows=rows,
        figures={"rounds": rounds},
        panels=[bars(speeds, "sentences/s")],
        targets=[
            Target(f"{_OURS} with {n}, as a share of LitServe with {n},", median(ratios[n]), 1.0)
            for n in counts
        ],
        notes=(f"load average before the rounds: {load}",),
    )


if __name__ == "__main__":
    end_with_the_benchmark()
    main()
