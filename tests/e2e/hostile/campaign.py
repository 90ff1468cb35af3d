"""Sends the attempts of one seed to a running service, and counts the answers."""

import itertools
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.e2e.hostile import access, content, framing
from tests.e2e.hostile.attempts import faults
from tests.e2e.hostile.wire import send

CLIENTS = 4
SHARES = {
    "table": 0.20,
    "ids": 0.05,
    "tokens": 0.14,
    "keys": 0.08,
    "cookies": 0.06,
    "paths": 0.15,
    "framing": 0.16,
    "bodies": 0.09,
    "queries": 0.05,
    "multipart": 0.02,
}
MAX_SLOW, MAX_FILES = 5, 0.02


@dataclass
class Result:
    """Counts by kind and status, and what was wrong, with the requests that showed it."""

    counts: Counter = field(default_factory=Counter)
    faults: list = field(default_factory=list)

    def add(self, attempt, answer, world):
        name = {0: "closed", -1: "silent"}.get(answer.status, str(answer.status))
        self.counts[
            attempt.kind, f"{name} {answer.code}".strip() if answer.status >= 500 else name
        ] += 1
        self.faults += [f"{fault}: {attempt}" for fault in faults(attempt, answer, world)]

    def table(self):
        """Return the counts as lines of text: one kind of attack in each row, one status in each column."""
        kinds = list(dict.fromkeys(kind for kind, _ in self.counts))
        statuses = sorted({status for _, status in self.counts})
        rows = [["", *statuses, "all"]]
        for kind in kinds:
            cells = [self.counts[kind, status] for status in statuses]
            rows.append([kind, *(str(n or "") for n in cells), str(sum(cells))])
        totals = [sum(self.counts[kind, status] for kind in kinds) for status in statuses]
        rows.append(["all", *map(str, totals), str(sum(totals))])
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
        return [
            " | ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows
        ]


def attempts(world, *, seed, n_requests, secret):
    """Return the attempts of a seed, mixed."""
    chance = random.Random(seed)
    sources = {
        "table": access.table(world, chance),
        "ids": access.nested_ids(world, chance),
        "tokens": access.tokens(world, chance, secret),
        "keys": access.keys(world, chance),
        "cookies": access.cookies(world, chance),
        "paths": access.paths(world, chance),
        "framing": framing.framing(world, chance),
        "bodies": content.bodies(world, chance),
        "queries": content.queries(world, chance),
        "multipart": content.multipart(world, chance),
    }
    taken = [
        a
        for name, share in SHARES.items()
        for a in itertools.islice(sources[name], int(share * n_requests))
    ]
    taken += itertools.islice(content.files(world, chance), int(MAX_FILES * n_requests))
    taken += itertools.islice(framing.slow(world, chance), min(MAX_SLOW, n_requests // 100))
    chance.shuffle(taken)
    return taken


def attack(world, *, seed, n_requests, secret):
    """Send the attempts from a few clients at once; return the counts and the faults."""
    result = Result()
    planned = attempts(world, seed=seed, n_requests=n_requests, secret=secret)
    with ThreadPoolExecutor(CLIENTS) as clients:
        for attempt, answer in clients.map(lambda a: (a, send(world.port, a.pieces)), planned):
            result.add(attempt, answer, world)
    return result
