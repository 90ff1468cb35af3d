"""What a benchmark found: a table to print, targets with their verdicts, JSON and an SVG to keep."""

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
        """Tell whether the figure is within its bound."""
        return self.value <= self.bound if self.is_limit else self.value >= self.bound

    def sentence(self):
        """Say what was asked and what came."""
        verdict = "holds" if self.holds() else "FALLS SHORT"
        side = "at most" if self.is_limit else "at least"
        return f"{verdict}: {self.what} is {self.value:.2f}, {side} {self.bound:.2f} asked"


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
        from ml.evaluation.markdown_report import markdown_table as markdown  # noqa: PLC0415 - scikit-learn and torch are absent where we serve

        print(f"\n## {self.title}\n\n{markdown(self.head, self.rows)}\n")
        for line in (*(t.sentence() for t in self.targets), *self.notes):
            print(f"- {line}")
        options.out.mkdir(parents=True, exist_ok=True)
        kept = {
            "title": self.title,
            "where": where(),
            "options": {k: str(v) for k, v in asdict(options).items()},
            "table": [self.head, *self.rows],
            "targets": [{**asdict(t), "holds": t.holds()} for t in self.targets],
            "notes": self.notes,
            "figures": self.figures,
        }
        path = options.out / f"{self.name}.json"
        path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        save(path.with_suffix(".svg"), self.title, self.panels)


def where():
    """Return when, on what and from which commit this is measured."""
    from ml.evaluation.latency import machine  # noqa: PLC0415 - as in publish

    git = ["git", "describe", "--always", "--dirty"]
    found = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "commit": found.stdout.strip(),
    }


def median(values):
    """Return the median of the rounds."""
    return statistics.median(values)


def shown(values, digits=0):
    """Return the median of the rounds with the least and the most."""
    middle = f"{median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
