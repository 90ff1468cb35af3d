"""The result of a benchmark: a table to print, targets with their verdicts, and files as JSON and SVG."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tests.bench.options import ROOT, Options
from tests.bench.plots import save


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and its bound: at least that, or with `is_limit` at most that."""

    what: str
    value: float
    bound: float
    is_limit: bool = False

    def holds(self):
        """Return whether the figure is within its bound."""
        return self.value <= self.bound if self.is_limit else self.value >= self.bound

    def sentence(self):
        """Return the verdict in words: the figure and its bound."""
        verdict = "holds" if self.holds() else "FALLS SHORT"
        side = "at most" if self.is_limit else "at least"
        return f"{verdict}: {self.what} is {self.value:.2f}, required {side} {self.bound:.2f}"


@dataclass(frozen=True, slots=True)
class Result:
    """`figures` holds every round; each of `panels` draws on an axis of its own."""

    name: str
    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    figures: dict[str, Any]
    panels: list[Callable[[Any], None]]
    targets: list[Target]
    notes: tuple[str, ...] = ()

    def publish(self, options: Options):
        """Print the table; write NAME.json and NAME.svg."""
        from ml.evaluation.markdown_table import markdown_table as markdown  # noqa: PLC0415 - the serving environment lacks scikit-learn and torch

        print(f"\n## {self.title}\n\n{markdown(self.head, self.rows)}\n")
        for line in (*(t.sentence() for t in self.targets), *self.notes):
            print(f"- {line}")
        options.out.mkdir(parents=True, exist_ok=True)
        document = {
            "title": self.title,
            "where": environment(),
            "options": {k: str(v) for k, v in asdict(options).items()},
            "table": [self.head, *self.rows],
            "targets": [{**asdict(t), "holds": t.holds()} for t in self.targets],
            "notes": self.notes,
            "figures": self.figures,
        }
        path = options.out / f"{self.name}.json"
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        save(path.with_suffix(".svg"), self.title, self.panels)


def environment():
    """Return time, machine, Python version and commit of this measurement."""
    from ml.evaluation.latency import machine  # noqa: PLC0415 - as in publish

    git = ["git", "describe", "--always", "--dirty"]
    git_describe = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "commit": git_describe.stdout.strip(),
    }


def median(values):
    """Return the median of the rounds."""
    return statistics.median(values)


def spread(values, digits=0):
    """Return the median of the rounds as text, with the smallest and the largest."""
    middle = f"{median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
