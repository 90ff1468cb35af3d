"""Attacks a service of its own and judges every answer.

    python -m tests.e2e.hostile --seed 1 --requests 10000 --database mysql

No answer may be a fault of the service, no caller may get what the table of permissions forbids or see
another account's marker, every error is a problem document, and the process outlives it all with bounded
memory.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from tests.e2e.conftest import ROOT, Process, environment
from tests.e2e.crashes import KEYS
from tests.e2e.hostile import contract
from tests.e2e.hostile.campaign import attack
from tests.e2e.hostile.world import PASSWORD, World
from tests.support.databases import fresh_database

ADMIN = "first-admin@corp.local"
MAX_GROWTH_MB = 400
SETTINGS = {**KEYS, "LOG_LEVEL": "WARNING", "REVIEW_SAMPLE_SHARE": "1", "PYTHONWARNINGS": "default"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--database", choices=["sqlite", "mysql", "postgresql"], default="sqlite")
    parser.add_argument("--examples", type=int, default=None, help="Schemathesis's per operation.")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}, {chosen.requests} requests, {chosen.database}", flush=True)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        url = stack.enter_context(fresh_database(chosen.database, Path(folder)))
        wrong = run(Path(folder), url, chosen)
    print(f"{len(wrong)} faults", *wrong[:60], sep="\n  ")
    sys.exit(bool(wrong))


def run(folder, database_url, chosen):
    """Start the service, attack it, print the counts; return what was wrong."""
    settings = {**SETTINGS, "DATABASE_URL": database_url}
    make_admin(folder, settings)
    process = Process(folder / "data", **settings)
    try:
        world = World(process.when_ready().url, ADMIN)
        before_mb, began_s = memory_mb(process), time.monotonic()
        result = attack(
            world, seed=chosen.seed, n_requests=chosen.requests, secret=KEYS["JWT_SECRET"]
        )
        attacked_s = time.monotonic() - began_s
        examples = chosen.requests // 2_000 if chosen.examples is None else chosen.examples
        if examples:
            contract.check(world, result, folder, seed=chosen.seed, n_examples=examples)
        after_mb = memory_mb(process)
        print(*result.table(), sep="\n")
        print(
            f"{attacked_s:.0f} s, and {time.monotonic() - began_s - attacked_s:.0f} s with Schemathesis"
        )
        print(f"memory before {before_mb} MB, after {after_mb} MB")
        wrong = [*result.faults, *ended(process), *logged(process, world)]
        if after_mb - before_mb > MAX_GROWTH_MB:
            wrong.append(f"the memory grew by {after_mb - before_mb} MB")
        return wrong
    finally:
        process.kill()


def make_admin(folder, settings):
    environ = {**environment(folder / "data"), **settings}
    command = [sys.executable, "-m", "service", "users", "create", ADMIN, "--role", "admin"]
    subprocess.run(command, cwd=ROOT, env=environ, input=f"{PASSWORD}\n", text=True, check=True)


def memory_mb(process):
    """Return the resident memory of the service and its child processes."""
    own = psutil.Process(process.pid)
    return sum(p.memory_info().rss for p in [own, *own.children(recursive=True)]) >> 20


def ended(process):
    """Return a fault unless the service still answers."""
    try:
        process.wait_until("/health/ready", 200)
    except AssertionError as error:
        return [f"the service does not answer: {str(error)[-500:]}"]
    return []


def logged(process, world):
    """Return the lines of the log that hold a traceback, an error or a marker."""
    lines = list(process.lines)
    errors = [line for line in lines if "Traceback" in line or '"level": "ERROR"' in line]
    leaks = [line for line in lines if any(marker in line for marker in world.readers)]
    print(f"{len(lines)} lines logged, {len(errors)} of errors")
    return [f"log: {line[:1_500]}" for line in errors] + [
        f"marker in the log: {line[:300]}" for line in leaks
    ]


if __name__ == "__main__":
    main()
