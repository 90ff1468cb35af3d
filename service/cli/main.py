"""The command line: one file for each group of commands. Commands parse, call use cases and print."""

from __future__ import annotations

from typing import Any

import click

from service.cli.audit import audit
from service.cli.backups import backup, restore
from service.cli.blocks import blocks
from service.cli.check import check
from service.cli.database import db
from service.cli.feedback import feedback
from service.cli.files import files
from service.cli.messages import error_message
from service.cli.models import models
from service.cli.purge import purge
from service.cli.scan import scan
from service.cli.seed import seed
from service.cli.teams import teams
from service.cli.users import users
from service.config import settings
from service.errors import RiskscanError


class _Commands(click.Group):
    """Reports our errors as one sentence, with exit status 1."""

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
    from service.server.startup import serve as serve_until_signal  # noqa: PLC0415 - loads the server's libraries

    serve_until_signal(settings.load())


for command in (
    *(scan, feedback, files, models, users, teams, audit, blocks, db),
    *(purge, backup, restore, seed, check),
):
    main.add_command(command)
