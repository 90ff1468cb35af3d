"""The Result of the comparison with peers: table, plot and targets."""

from tests.bench.plots import bars
from tests.bench.results import Result, Target, median, spread

ENGINE = "bare engine, sorted batches"
OURS, OURS_STORED = "Riskscan, POST /scan", "Riskscan, POST /api/scan"
PLAIN = "Flask and pipeline"


def result(peers, rounds, trials, notes):
    """Return the Result of `rounds`, each {kind: {name: figures}}."""
    columns = {
        kind: {
            name: {key: [r[kind][name][key] for r in rounds] for key in of}
            for name, of in first.items()
        }
        for kind, first in rounds[0].items()
    }
    rows = [
        (
            kind,
            name,
            spread(c["sentences_per_s"]),
            *((spread(c[key], 1) for key in ("p50_ms", "p95_ms")) if "p50_ms" in c else ("", "")),
            spread(c["generator_cores"], 2) if "generator_cores" in c else "",
        )
        for kind, of in columns.items()
        for name, c in of.items()
    ]
    speeds = {
        k: {name: c["sentences_per_s"] for name, c in of.items()} for k, of in columns.items()
    }
    return Result(
        name="peers",
        title="The service beside other servers of the same classifier",
        head=("load", "server", "sentences/s", "p50 ms", "p95 ms", "generator cores"),
        rows=rows,
        figures={"rounds": rounds, "trials": trials},
        panels=[bars(of, f"sentences/s, sent as {kind}") for kind, of in speeds.items()],
        targets=_targets(peers, speeds),
        notes=notes,
    )


def _targets(peers, speeds):
    documents, singles = speeds["documents"], speeds["sentences"]
    groups = {
        "the best peer": [p.name for p in peers if not p.has_int8],
        "the best peer with our int8 file": [p.name for p in peers if p.has_int8],
        "the best peer of all": [p.name for p in peers],
        "the plain peer": [p.name for p in peers if p.name == PLAIN],
    }
    bounds = [
        ("documents", documents, OURS, "the best peer", 3.0),
        ("documents", documents, OURS, "the best peer with our int8 file", 1.3),
        ("sentences", singles, OURS, "the plain peer", 4.0),
        ("sentences", singles, OURS, "the best peer of all", 1.0),
        ("sentences", singles, OURS_STORED, "the plain peer", 2.0),
    ]
    share = _ratio(documents[OURS], [documents[ENGINE]])
    targets = [Target(f"documents: {OURS} over the {ENGINE},", share, 0.75)]
    for kind, of, ours, group, bound in bounds:
        if groups[group]:
            ratio = _ratio(of[ours], [of[name] for name in groups[group]])
            targets.append(Target(f"{kind}: {ours} over {group}", ratio, bound))
    return targets


def _ratio(ours, theirs):
    """Return the median, over the rounds, of ours divided by the best of theirs."""
    return median([mine / max(others) for mine, *others in zip(ours, *theirs, strict=True)])
