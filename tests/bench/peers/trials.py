"""Tries every setting of a peer for a short while, after a proof that it serves the same classifier."""

from dataclasses import replace

import httpx

from service.nlp.taxonomy import RISK_TYPES
from tests.bench.load import closed_loop
from tests.bench.over_http import DOCUMENT_CLIENTS, SINGLE_CLIENTS, summary
from tests.bench.sentences import SENTENCES_PER_DOCUMENT
from tests.bench.servers import running

CLIENTS = {"documents": DOCUMENT_CLIENTS, "sentences": SINGLE_CLIENTS}
_TRIAL_S = 4.0
_ALIKE = {"MODEL", "MODEL_ID", "ENGINE", "TEXTS", "REQUESTS", "BATCH_TIMEOUT_S", "WARM_UP"}
_NEAR = 0.1
"""A score this near to the threshold may be rounded to either side of it (bfloat16, int8)."""


def trials(peer, supply, options, golden, *, most=None):
    """Return each setting of a peer, `most` at most, with its sentences a second by kind of load."""
    trial = replace(options, seconds=min(_TRIAL_S, options.seconds))
    found = []
    for settings in peer.settings[:most]:
        with running(peer.server(settings, options)) as server:
            prove(peer, server, golden)
            lists = {kind: [s for _, s in given] for kind, given in texts(supply).items()}
            given = {kind: requests(peer, lists[kind]) for kind in CLIENTS}
            speeds = {kind: speed(server, given[kind], kind, trial) for kind in CLIENTS}
        found.append(
            {"settings": dict(settings), **{k: s["sentences_per_s"] for k, s in speeds.items()}}
        )
        told = ", ".join(f"{found[-1][kind]:.0f} sentences/s as {kind}" for kind in CLIENTS)
        print(f"{peer.name}, {short(settings)}: {told}", flush=True)
    return found


def best(found, kind):
    """Return the settings of the fastest trial."""
    return max(found, key=lambda trial: trial[kind])["settings"]


def short(settings):
    """Return the settings that tell trials apart, in words."""
    return " ".join(f"{k}={v}" for k, v in settings.items() if k not in _ALIKE)


def texts(supply):
    """Return texts with their sentences, one a request, by kind of load."""
    singles = supply.singles()
    return {"documents": supply.documents(), "sentences": [(text, [text]) for text in singles]}


def requests(peer, lists):
    """Return the requests that a peer takes for lists of sentences."""
    return [peer.request(sentences) for sentences in lists]


def speed(server, given, kind, options):
    """Return the figures of one load."""
    load = closed_loop(server, given, options, n_clients=CLIENTS[kind])
    return summary(load, SENTENCES_PER_DOCUMENT if kind == "documents" else 1)


def prove(peer, server, golden):
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
