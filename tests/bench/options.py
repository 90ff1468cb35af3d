"""How long and how large the benchmarks are, and where they find what they run."""

import argparse
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_OUT = ROOT / "var" / "bench"


@dataclass(frozen=True, slots=True)
class Options:
    """`rounds` of `seconds` each, after `warm_s` that do not count; `scale` multiplies sizes.

    Requests that need an account take those of `accounts` users in turn.
    """

    rounds: int = 5
    seconds: float = 8.0
    warm_s: float = 2.0
    scale: float = 1.0
    accounts: int = 1
    out: Path = _OUT
    service_python: Path = ROOT / ".venv" / "bin" / "python"
    environments: Path = _OUT / "env"

    def size(self, n):
        """Return a size of the full benchmark as this run has it."""
        return max(1, round(n * self.scale))

    def python_of(self, environment):
        """Return the interpreter of an environment that the Makefile installs."""
        return self.environments / environment / "bin" / "python"


def parser(description):
    """Return a parser of the options that every benchmark has."""
    found, default = argparse.ArgumentParser(description=description), Options()
    helps = {
        "rounds": "rounds; the median is reported",
        "seconds": "seconds of one measurement",
        "warm_s": "seconds before it that do not count",
        "scale": "share of the full sizes, to try it out",
        "accounts": "users whose accounts stored scans use in turn",
        "out": "folder of the results",
        "service_python": "interpreter of the serving environment",
        "environments": "folder of the environments that only benchmarks need",
    }
    for name, text in helps.items():
        value = getattr(default, name)
        flag = f"--{name.replace('_', '-')}"
        found.add_argument(flag, type=type(value), default=value, help=f"{text} ({value})")
    return found


def options_of(arguments):
    """Return the Options in parsed arguments."""
    return Options(**{name: getattr(arguments, name) for name in Options.__dataclass_fields__})
