"""Options of all benchmarks: duration, sizes, output folder and interpreters."""

import argparse
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_OUT = ROOT / "var" / "bench"


@dataclass(frozen=True, slots=True)
class Options:
    """`rounds` of `seconds` each, after `warm_s` that do not count; `scale` multiplies sizes.

    Requests that need authentication take turns with the tokens of `accounts` users.
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
        """Scale a size of the full benchmark to this run; at least 1."""
        return max(1, round(n * self.scale))

    def interpreter(self, environment):
        """Return the interpreter of an environment that the Makefile installs."""
        return self.environments / environment / "bin" / "python"


def argument_parser(description):
    """Return a parser with the options of every benchmark."""
    parser, default = argparse.ArgumentParser(description=description), Options()
    helps = {
        "rounds": "rounds; the median is reported",
        "seconds": "duration of one measurement in seconds",
        "warm_s": "warm-up before it in seconds, not measured",
        "scale": "share of the full sizes, for a trial run",
        "accounts": "number of users that stored scans take turns with",
        "out": "folder of the results",
        "service_python": "interpreter of the serving environment",
        "environments": "folder of the virtual environments of load generator and peers",
    }
    for name, text in helps.items():
        value = getattr(default, name)
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=type(value), default=value, help=f"{text} ({value})")
    return parser


def options_from(arguments):
    """Return the Options in parsed arguments."""
    return Options(**{name: getattr(arguments, name) for name in Options.__dataclass_fields__})
