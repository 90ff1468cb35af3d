"""`python -m tests.bench.peers`: the service beside other servers of the same classifier, interleaved.

First every peer is tried in each of its settings, a short while each; then the best of each, the service and
the bare engine take turns, all on the same sentences. Whoever is not measured is paused.
"""

import contextlib

from service.config import settings as config
from service.nlp.artifacts import artifact as artifacts
from tests.bench.engine import alone, best_sorted
from tests.bench.options import options_of, parser
from tests.bench.over_http import Supply, requests_of
from tests.bench.peers.candidates import peers
from tests.bench.peers.convert import convert
from tests.bench.peers.trials import CLIENTS, best, requests, short, speed, texts, trials
from tests.bench.peers.verdicts import ENGINE, OURS, OURS_STORED, result
from tests.bench.servers import end_with_the_benchmark, riskscan, tokens
from tests.support.databases import fresh_database

_PATHS = {OURS: "/scan", OURS_STORED: "/api/scan"}


def main(arguments=None):
    """Try the settings, measure the best, publish."""
    reader = parser("Measure the service beside its peers.")
    reader.add_argument("--only", default="", help="part of the names of the peers to measure")
    reader.add_argument("--settings", type=int, help="try the first settings of each peer only")
    given = reader.parse_args(arguments)
    options = options_of(given)
    options.out.mkdir(parents=True, exist_ok=True)
    artifact = artifacts.load(config.load().model_dir)
    known = peers(convert(options.out / "classifier"), artifact.manifest)
    chosen = [peer for peer in known if given.only in peer.name]
    supply, golden = Supply(options), artifact.golden()
    tried = {
        peer.name: trials(peer, supply, options, golden, most=given.settings) for peer in chosen
    }
    winners = {kind: {name: best(found, kind) for name, found in tried.items()} for kind in CLIENTS}
    notes = tuple(
        f"{name} takes {kind} with {short(settings)}"
        for kind, of in winners.items()
        for name, settings in of.items()
    )
    rounds = _rounds(chosen, winners, supply, options)
    result(chosen, rounds, tried, notes).publish(options)


def _rounds(chosen, winners, supply, options):
    folder = options.out / "peers"
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(fresh_database("mysql", folder))
        ours = _started(stack, riskscan(options, folder, database_url=url))
        servers, started = {}, {}
        for kind in CLIENTS:
            for peer in chosen:
                settings = winners[kind][peer.name]
                key = (peer.name, short(settings))
                if key not in started:
                    started[key] = _started(stack, peer.server(settings, options))
                servers[kind, peer.name] = started[key]
        return [_round(ours, chosen, servers, supply, options) for _ in range(options.rounds)]


def _started(stack, server):
    """Return a server once it is healthy, paused; it ends with the stack."""
    stack.callback(server.stop)
    server.when_healthy()
    server.pause()
    return server


def _round(ours, chosen, servers, supply, options):
    """Load every server once with each kind, all with the same texts.

    POST /api/scan has its own: the service has seen the others.
    """
    given = {OURS: texts(supply), OURS_STORED: texts(supply)}
    found = {}
    for kind in CLIENTS:
        lists = [sentences for _, sentences in given[OURS][kind]]
        bare = alone(options, [s for sentences in lists for s in sentences][:1_000])
        found[kind] = {ENGINE: {"sentences_per_s": best_sorted(bare)}}
        with _awake(ours):
            headers = tokens(ours, options.accounts)
            for name, path in _PATHS.items():
                own = headers if name == OURS_STORED else ({},)
                asked = requests_of([text for text, _ in given[name][kind]], path, own)
                found[kind][name] = speed(ours, asked, kind, options)
        for peer in chosen:
            server = servers[kind, peer.name]
            with _awake(server):
                found[kind][peer.name] = speed(server, requests(peer, lists), kind, options)
        told = ", ".join(f"{name} {f['sentences_per_s']:.0f}" for name, f in found[kind].items())
        print(f"{kind}, sentences/s: {told}", flush=True)
    return found


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
