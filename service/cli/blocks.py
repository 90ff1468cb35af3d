"""`python -m service blocks`: networks whose requests are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import click

from service.cli.services import open_services
from service.config import settings


@click.group()
def blocks() -> None:
    """Refuse requests from addresses and networks."""


@blocks.command("list")
def list_blocks() -> None:
    """List all blocks with their ids, newest first."""
    from db.queries import blocks as queries  # noqa: PLC0415 - loads the database's libraries
    from service.domain.blocks import MAX_BLOCKS  # noqa: PLC0415

    with open_services(settings.load()) as services:
        rows = services.transactions.read(queries.list_blocks, limit=MAX_BLOCKS)
    for block in rows:
        until = f"until {block.expires_at:%F %R} UTC" if block.expires_at else "until removed"
        click.echo(f"{block.id}  {block.network}  {until}  {block.reason}")


@blocks.command("add")
@click.argument("network")
@click.option("--reason", required=True)
@click.option("--until", type=click.DateTime(), help="In UTC; by default until it is removed.")
def add_block(network: str, reason: str, until: datetime | None) -> None:
    """Block an address or a network, such as 192.0.2.0/24 or 2001:db8::/32."""
    from service.domain.audit import Actor  # noqa: PLC0415
    from service.domain.blocks import NewBlock  # noqa: PLC0415

    expires_at = until.replace(tzinfo=UTC) if until else None
    new = NewBlock(network, reason, expires_at)
    with open_services(settings.load()) as services:
        block = services.blocks.add(new, actor=Actor.current_operator())
    click.echo(f"{block.network} is blocked; its id is {block.id}.")


@blocks.command("remove")
@click.argument("block_id", type=click.UUID)
def remove_block(block_id: UUID) -> None:
    """Remove a block by its id."""
    from service.domain.audit import Actor  # noqa: PLC0415

    with open_services(settings.load()) as services:
        services.blocks.remove(block_id, actor=Actor.current_operator())
    click.echo(f"The block {block_id} is removed.")
