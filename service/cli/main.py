"""The command line: one file for each group of commands. Commands parse, call use cases and print."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from service.cli.messages import error_message
from service.config import settings
from service.errors import RiskscanError

_FILES = {
    **{name: name for name in ("audit", "blocks", "check", "feedback", "files", "models", "purge")},
    **{name: name for name in ("bulk", "scan", "search", "seed", "teams", "users", "worker")},
    "backup": "backups",
    "restore": "backups",
    "db": "database",
}
"""The file of each command that needs more than the settings; it is imported when the command runs."""


class _Commands(click.Group):
    """Imports a command when it is needed; reports our errors as one sentence, with exit status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_FILES])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _FILES:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(
            importlib.import_module(f"service.cli.{_FILES[cmd_name]}"), cmd_name
        )
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        try:
            return super().invoke(ctx)
        except RiskscanError as error:
            click.echo(f"riskscan: {error_message(error)}", err=True)
            ctx.exit(1)


@click.group(cls=_Commands, invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Serve Riskscan, or run one of the commands."""
    if context.invoked_subcommand is None:
        context.invoke(serve)


@main.command()
def serve() -> None:
    """Upgrade the database, load the model, and serve HTTP until SIGTERM."""
    config = settings.load()
    if config.web_processes > 1:
        from service.server.supervisor import supervise  # noqa: PLC0415 - loads what the other does not need

        sys.exit(supervise(config))
    from service.server.startup import serve as serve_alone  # noqa: PLC0415 - loads the server's libraries

    serve_alone(config)


@main.command("web-process", hidden=True)
@click.argument("index", type=int)
@click.argument("descriptors", type=int, nargs=-1, required=True)
def web_process(index: int, descriptors: tuple[int, ...]) -> None:
    """Serve as one of WEB_PROCESSES; the supervisor starts this with `descriptors` (web_process.py)."""
    from service.server.startup import serve_supervised  # noqa: PLC0415 - as above

    serve_supervised(settings.load(), index, *descriptors)
