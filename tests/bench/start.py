"""Start-up time: from the start of the process to the first 200 of /health/ready, with a warm file cache."""

from tests.bench.plots import bars
from tests.bench.results import Result, Target, median, spread
from tests.bench.servers import riskscan, running

_STARTS_A_ROUND = 2


def run(options):
    """Start the service repeatedly; the first start migrates the database."""
    folder, took_s = options.out / "start", []
    for _ in range(1 + _STARTS_A_ROUND * options.rounds):
        with running(riskscan(options, folder)) as server:
            took_s.append(server.ready_after_s)
    first_s, warm_s = took_s[0], took_s[1:]
    return Result(
        name="start",
        title="Start to ready",
        head=("start", "s"),
        rows=[
            ("first, migrates an empty database", f"{first_s:.2f}"),
            ("again", spread(warm_s, 2)),
        ],
        figures={"took_s": took_s},
        panels=[bars({"first": [first_s], "again": warm_s}, "s from start to ready")],
        targets=[Target("start to ready, s,", median(warm_s), 4.0, is_limit=True)],
    )
