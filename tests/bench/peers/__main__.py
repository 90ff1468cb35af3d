"""`python -m tests.bench.peers`: the service beside other servers of the same classifier, interleaved.

First a short trial of every peer in each of its settings. Then the fastest of each, the service and the bare
engine take turns on the same sentences. All servers but the measured one are paused.
"""

import contextlib

from service.config import settings as config
from service.nlp.artifacts import artifact as artifacts
from tests.bench.engine import bare_engine, best_sorted
from tests.bench.options import argument_parser, options_from
from tests.bench.over_http import Supply, scan_requests
from tests.bench.peers.candidates import peers
from tests.bench.peers.convert import convert
from tests.bench.peers.trials import CLIENTS, best, requests, short, speed, texts, trials
from tests.bench.peers.verdicts import ENGINE, OURS, OURS_STORED, result
from tests.bench.servers import end_with_the_benchmark, riskscan, tokens
from tests.support.databases import fresh_database

_PATHS = {OURS: "/scan", OURS_STORED: "/api/scan"}


def main(arguments=None):
    """Try the settings, measure the fastest, publish."""
    parser = argument_parser("Measure the service beside its peers.")
    parser.add_argument("--only", default="", help="part of the names of the peers to measure")
    parser.add_argument("--settings", type=int, help="try the first settings of each peer only")
    parsed = parser.parse_args(arguments)
    options = options_from(parsed)
    options.out.mkdir(parents=True, exist_ok=True)
    artifact = artifacts.load(config.load().model_dir)
    known = peers(convert(options.out / "classifier"), artifact.manifest)
    chosen = [peer for peer in known if parsed.only in peer.name]
    supply, golden = Supply(options), artifact.golden()
    results = {
        peer.name: trials(peer, supply, options, golden, most=parsed.settings) for peer in chosen
    }
    winners = {
        kind: {name: best(figures, kind) for name, figures in results.items()} for kind in CLIENTS
    }
    notes = tuple(
        f"{name}, {kind}: {short(settings)}"
        for kind, of in winners.items()
        for name, settings in of.items()
    )
    rounds = _rounds(chosen, winners, supply, options)
    result(chosen, rounds, results, notes).publish(options)


def _rounds(chosen, winners, supply, options):
    folder = options.out / "peers"
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(fresh_database("mysql", folder))
        ours = _start_paused(stack, riskscan(options, folder, database_url=url))
        servers, started = {}, {}
        for kind in CLIENTS:
            for peer in chosen:
                settings = winners[kind][peer.name]
                key = (peer.name, short(settings))
                if key not in started:
                    started[key] = _start_paused(stack, peer.server(settings, options))
                servers[kind, peer.name] = started[key]
        return [_round(ours, chosen, servers, supply, options) for _ in range(options.rounds)]


def _start_paused(stack, server):
    """Wait until the server is healthy and pause it; the stack stops it."""
    stack.callback(server.stop)
    server.wait_until_healthy()
    server.pause()
    return server


def _round(ours, chosen, servers, supply, options):
    """Load every server once with each kind of text.

    All get the same texts but POST /api/scan, since the service has cached those of POST /scan.
    """
    texts_by_path = {OURS: texts(supply), OURS_STORED: texts(supply)}
    figures = {}
    for kind in CLIENTS:
        lists = [sentences for _, sentences in texts_by_path[OURS][kind]]
        bare = bare_engine(options, [s for sentences in lists for s in sentences][:1_000])
        figures[kind] = {ENGINE: {"sentences_per_s": best_sorted(bare)}}
        with _awake(ours):
            headers = tokens(ours, options.accounts)
            for name, path in _PATHS.items():
                own = headers if name == OURS_STORED else ({},)
                own_requests = scan_requests(
                    [text for text, _ in texts_by_path[name][kind]], path, own
                )
                figures[kind][name] = speed(ours, own_requests, kind, options)
        for peer in chosen:
            server = servers[kind, peer.name]
            with _awake(server):
                figures[kind][peer.name] = speed(server, requests(peer, lists), kind, options)
        speeds = ", ".join(
            f"{name} {f['sentences_per_s']:.0f}" for name, f in figures[kind].items()
        )
        print(f"{kind}, sentences/s: {speeds}", flush=True)
    return figures


@contextlib.contextmanager
def _awake(server):
    server.resume()
    try:
        yield
    finally:
        server.pause()


if __name__ == "__main__":
    end_with_the_benchmark()
    main()
