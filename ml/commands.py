"""Command lines: format them for messages, and parse them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from service.config.settings import ROOT


def command(module: str, *arguments: object) -> str:
    """Return the command that runs `module`, such as `.venv-test/bin/python -m ml train CONFIG`."""
    return " ".join([_python(), "-m", module, *map(str, arguments)])


def _python() -> str:
    interpreter = Path(sys.executable)
    return str(interpreter.relative_to(ROOT) if interpreter.is_relative_to(ROOT) else interpreter)


class ListOptions(click.Command):
    """A command whose `multiple` options take several words: `--data A B` means `--data A --data B`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        names = {
            name
            for option in self.params
            if isinstance(option, click.Option) and option.multiple
            for name in option.opts
        }
        return super().parse_args(ctx, list(_repeated(args, names)))


def _repeated(args: Sequence[str], names: set[str]) -> Iterator[str]:
    """Repeat an option of `names` before each further word that follows it."""
    option, has_value = "", False
    for word in args:
        if word.startswith("-"):
            option, has_value = word if word in names else "", False
        elif option and has_value:
            yield option
        else:
            has_value = True
        yield word
