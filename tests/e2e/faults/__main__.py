"""Breaks what the service depends on, counts its answers, and prints a table.

python -m tests.e2e.faults --only redis llm
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pytest

from tests.e2e.crashes import crash
from tests.e2e.faults import disk_faults, llm_faults, redis_faults, replica_faults
from tests.e2e.faults.outcome import Outcome


def killed_database(_folder):
    """Kill MariaDB 20 times under 16 writers."""
    result = crash(n_writers=16, n_database_kills=20, n_service_kills=0)
    outcome = Outcome(f"MariaDB killed 20 times under 16 writers, {result['duration_s']} s")
    outcome.answers.update(result["answers"])
    outcome.wrong += [
        f"{name}: {result[name]}" for name in ("lost", "incomplete", "errors") if result[name]
    ]
    if result["doubled"] or result["n_stored"] != result["n_events"]:
        outcome.wrong.append(
            f"doubled {result['doubled']}, {result['n_stored']} / {result['n_events']}"
        )
    print({name: result[name] for name in ("n_acknowledged", "n_stored", "n_events")}, flush=True)
    return [outcome]


def replicas(folder):
    pairs = [(backend, n) for backend in ("mysql", "postgresql") for n in (2, 4)]
    return [replica_faults.run(folder, backend, n) for backend, n in pairs]


GROUPS = {
    "redis": redis_faults.run,
    "disk": disk_faults.run,
    "llm": llm_faults.run,
    "replicas": replicas,
    "database": killed_database,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    wrong = 0
    for name in parser.parse_args().only:
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcomes = GROUPS[name](Path(folder))
            except pytest.skip.Exception as skipped:
                print(f"{name} | skipped: {skipped}")
                continue
        print(*outcomes, sep="\n", flush=True)
        wrong += sum(bool(outcome.wrong) for outcome in outcomes)
    print(f"{wrong} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
