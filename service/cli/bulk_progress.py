"""The progress of a bulk scan: a bar on a terminal, else a line every ten seconds. Shows no document."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from service.jobs.bulk.run import Report
    from service.jobs.bulk.sink import Counts

LINE_EVERY_S = 10.0
_WINDOW_S = 60.0
"""The rate is that of the last minute: it forgets what a run skipped at its start."""

_MIN_S = 3.0


class Pace:
    """The rate and the time left of a run, from the moments at which results arrived."""

    def __init__(self) -> None:
        self._moments: list[tuple[float, int, float]] = []

    def add(self, now_s: float, n_documents: int, share: float) -> None:
        """Note how many documents were done at a time, and the share of the source that was read."""
        self._moments.append((now_s, n_documents, share))
        while now_s - self._moments[0][0] > _WINDOW_S:
            self._moments.pop(0)

    def text(self) -> str:
        """Return such as `140 documents/s, 34 %, 2:05:00 left`."""
        if not self._moments or self._moments[-1][0] - self._moments[0][0] < _MIN_S:
            return "starting"
        (from_s, from_n, from_share), (to_s, to_n, share) = self._moments[0], self._moments[-1]
        took_s, gained = to_s - from_s, share - from_share
        rate = f"{(to_n - from_n) / took_s:,.0f} documents/s, {share:.0%}"
        return f"{rate}, {_clock((1 - share) * took_s / gained)} left" if gained > 0 else rate


@contextlib.contextmanager
def show_progress() -> Iterator[Report]:
    """Yield the function that receives the progress; shows it until the block ends."""
    with _bar() if sys.stderr.isatty() else _lines() as report:
        yield report


@contextlib.contextmanager
def _bar() -> Iterator[Report]:
    pace = Pace()
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=1)

        def report(counts: Counts, share: float) -> None:
            pace.add(time.monotonic(), counts.n_documents, share)
            bar.update(task, completed=share, description=_state(counts, pace))

        yield report


@contextlib.contextmanager
def _lines() -> Iterator[Report]:
    pace, state, ended = Pace(), ["starting"], threading.Event()

    def report(counts: Counts, share: float) -> None:
        pace.add(time.monotonic(), counts.n_documents, share)
        state[0] = _state(counts, pace)

    def print_lines() -> None:
        while not ended.wait(LINE_EVERY_S):
            click.echo(f"riskscan: {state[0]}", err=True)

    thread = threading.Thread(target=print_lines, daemon=True)
    thread.start()
    try:
        yield report
    finally:
        ended.set()
        thread.join()


def _state(counts: Counts, pace: Pace) -> str:
    return f"{counts.n_documents:,} documents, {pace.text()}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
