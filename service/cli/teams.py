"""`python -m service teams`: teams and their members."""

from __future__ import annotations

import click

from service.cli.services import open_services
from service.config import settings


@click.group()
def teams() -> None:
    """Create and delete teams, add and remove their members."""


@teams.command("create")
@click.argument("name")
def create_team(name: str) -> None:
    """Create a team."""
    from service.domain.audit import Actor  # noqa: PLC0415 - loads the database's libraries

    with open_services(settings.load()) as services:
        team = services.teams.create(name, actor=Actor.current_operator())
    click.echo(f"The team {team.name} is created.")


@teams.command("list")
def list_teams() -> None:
    """List all teams with the number of their members, newest first."""
    from service.domain.teams import teams as use_cases  # noqa: PLC0415

    after = None
    with open_services(settings.load()) as services:
        while True:
            page = services.transactions.read(
                use_cases.list_teams, member_id=None, search="", limit=1000, after=after
            )
            for view in page:
                click.echo(f"{view.id}  {view.n_members:6} members  {view.team.name}")
            if not page:
                return
            after = (page[-1].created_at, page[-1].id)


@teams.command("add")
@click.argument("name")
@click.argument("email")
def add_member(name: str, email: str) -> None:
    """Add an account to a team."""
    _change_member("add_member", name, email)
    click.echo(f"{email} is in the team {name}.")


@teams.command("remove")
@click.argument("name")
@click.argument("email")
def remove_member(name: str, email: str) -> None:
    """Remove an account from a team; what it shares with the team is shared no longer."""
    _change_member("remove_member", name, email)
    click.echo(f"{email} is no longer in the team {name}.")


@teams.command("delete")
@click.argument("name")
def delete_team(name: str) -> None:
    """Delete a team; its members can no longer read what was shared with it."""
    from service.domain.audit import Actor  # noqa: PLC0415
    from service.domain.teams.teams import team_named  # noqa: PLC0415

    with open_services(settings.load()) as services:
        team = services.transactions.read(team_named, name)
        services.teams.delete(team.id, actor=Actor.current_operator())
    click.echo(f"The team {team.name} is deleted.")


def _change_member(method: str, name: str, email: str) -> None:
    from service.domain.accounts.user_admin import id_of  # noqa: PLC0415
    from service.domain.audit import Actor  # noqa: PLC0415
    from service.domain.teams.teams import team_named  # noqa: PLC0415

    with open_services(settings.load()) as services:
        read = services.transactions.read
        team, user_id = read(team_named, name), read(id_of, email)
        getattr(services.teams, method)(team.id, user_id, actor=Actor.current_operator())
