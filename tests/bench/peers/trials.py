"""Short trials of every setting of a peer, each after a check that it serves the same classifier."""

from dataclasses import replace

import httpx

from service.nlp.taxonomy import built_in
from tests.bench.load import closed_loop
from tests.bench.over_http import DOCUMENT_CLIENTS, SINGLE_CLIENTS, summary
from tests.bench.sentences import SENTENCES_PER_DOCUMENT
from tests.bench.servers import running

RISK_TYPES = built_in().risk_types

CLIENTS = {"documents": DOCUMENT_CLIENTS, "sentences": SINGLE_CLIENTS}
_TRIAL_S = 4.0
_SAME_IN_ALL = {"MODEL", "MODEL_ID", "ENGINE", "TEXTS", "REQUESTS", "BATCH_TIMEOUT_S", "WARM_UP"}
_NEAR = 0.1
"""Rounding to bfloat16 or int8 may move a score this near to the threshold across it."""


def trials(peer, supply, options, golden, *, most=None):
    """Return sentences per second by kind of load for each setting of a peer, or for the first `most`."""
    trial = replace(options, seconds=min(_TRIAL_S, options.seconds))
    results = []
    for settings in peer.settings[:most]:
        with running(peer.server(settings, options)) as server:
            check_classifier(peer, server, golden)
            lists = {kind: [s for _, s in pairs] for kind, pairs in texts(supply).items()}
            posts = {kind: requests(peer, lists[kind]) for kind in CLIENTS}
            speeds = {kind: speed(server, posts[kind], kind, trial) for kind in CLIENTS}
        results.append(
            {"settings": dict(settings), **{k: s["sentences_per_s"] for k, s in speeds.items()}}
        )
        summary_line = ", ".join(
            f"{results[-1][kind]:.0f} sentences/s as {kind}" for kind in CLIENTS
        )
        print(f"{peer.name}, {short(settings)}: {summary_line}", flush=True)
    return results


def best(results, kind):
    """Return the settings of the fastest trial."""
    return max(results, key=lambda trial: trial[kind])["settings"]


def short(settings):
    """Return the settings that differ between trials, as text."""
    return " ".join(f"{k}={v}" for k, v in settings.items() if k not in _SAME_IN_ALL)


def texts(supply):
    """Return (text, sentences) of each request, by kind of load."""
    singles = supply.singles()
    return {"documents": supply.documents(), "sentences": [(text, [text]) for text in singles]}


def requests(peer, lists):
    """Return a request of `peer` for each list of sentences."""
    return [peer.request(sentences) for sentences in lists]


def speed(server, posts, kind, options):
    """Load the server with `posts` and return the figures."""
    load = closed_loop(server, posts, options, n_clients=CLIENTS[kind])
    return summary(load, SENTENCES_PER_DOCUMENT if kind == "documents" else 1)


def check_classifier(peer, server, golden):
    """Raise ValueError unless the peer states the risk types that the golden scores state."""
    request = peer.request([row.text for row in golden])
    address = server.url + request.path
    answer = httpx.post(address, content=request.body, headers=request.headers, timeout=120)
    stated = peer.labels(answer.raise_for_status().text)
    for row, labels in zip(golden, stated, strict=True):
        for label, score in zip(RISK_TYPES, row.scores, strict=True):
            if (label in labels) != (score >= 0.5) and abs(score - 0.5) > _NEAR:
                raise ValueError(
                    f"{peer.name} serves another classifier: {label} scores {score:.3f}"
                )
