"""`python -m service backup` and `restore`: the database and the files of DATA_DIR in one archive."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from service.cli.services import open_services
from service.config import settings
from service.config.database_address import redact
from service.errors import Conflict

if TYPE_CHECKING:
    from service.domain.backups.contents import Kind, Manifest
    from service.domain.files.user_stores import UserStores
    from service.domain.restore import Restored
    from service.domain.services import Services


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
def backup(file: Path) -> None:
    """Write the database and the files of DATA_DIR to FILE, a new .tar.zst; "-" is standard output.

    The service may keep running: the archive has the state of one moment. It contains no keys.
    """
    from service.domain.audit import Actor  # noqa: PLC0415 - loads the database's libraries
    from service.domain.backup import Backup  # noqa: PLC0415
    from service.domain.services import build_services  # noqa: PLC0415

    config = settings.load()
    with build_services(config, limit_statements=False) as services, _output(file) as stream:
        archive = Backup(services.signing_config, services.transactions, _stores(services))
        report = archive.write(stream, actor=Actor.current_operator())
    if report.manifest is not None:
        click.echo(f"{redact(config.database_url)}: {_contents(report.manifest)}.", err=True)
    if report.n_deleted:
        click.echo(f"Deleted while this ran, so not in it: {report.n_deleted} files.", err=True)
    if report.n_lost:
        for name in report.lost:
            click.echo(name, err=True)
        raise click.ClickException(
            f"The bytes of {report.n_lost} files are missing or changed on disk; the backup is complete "
            "but for them. Run `python -m service files verify`."
        )


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only verify the archive; change nothing.")
@click.option("--replace", is_flag=True, help="Delete all rows that the database has.")
@click.option("--yes", is_flag=True, help="Do not ask before --replace deletes them.")
def restore(file: Path, *, check: bool, replace: bool, yes: bool) -> None:
    """Restore FILE into the database of DATABASE_URL, of any kind, and into DATA_DIR.

    Stop the service first. The archive is verified before anything changes; an older schema is upgraded.
    """
    from service.domain.restore import Restore  # noqa: PLC0415 - loads the database's libraries
    from service.domain.services import build_services  # noqa: PLC0415

    config = settings.load()
    with build_services(config, limit_statements=False) as services:
        work = Restore(file, services.signing_config, _stores(services))
        if check:
            header, manifest = work.check()
            click.echo(
                f"{file} is complete: schema {header.revision} of {header.created_at:%F %R} UTC, "
                f"{_contents(manifest)}."
            )
            return
        if replace and not yes and (used := work.used_tables()):
            click.confirm(
                f"Delete all rows of {redact(config.database_url)} ({', '.join(used)})?", abort=True
            )
        restored = work.run(replace=replace)
    click.echo(f"Restored into {redact(config.database_url)}: {_contents(restored.manifest)}.")
    with open_services(config, limit_statements=False) as services:
        _report(services, restored)


def _report(services: Services, restored: Restored) -> None:
    """Verify what was restored, leave an audit event, and print what the operator has to do."""
    from db.queries.orphans import find_orphans  # noqa: PLC0415
    from service.domain.audit import Actor  # noqa: PLC0415
    from service.domain.restore import record_restore  # noqa: PLC0415

    header = restored.header
    services.transactions.run(record_restore, restored, Actor.current_operator())
    click.echo(f"The schema is at revision {restored.revision}, {header.revision} before.")
    for orphans in services.transactions.read(find_orphans):
        click.echo(
            f"{orphans.table}: {orphans.n} rows have no row in {orphans.owner}, as in the backup; "
            "`python -m service db orphans` lists them."
        )
    if not restored.same_key:
        click.echo(
            "SECRET_KEY is not that of the backup: log-ins, API keys and links to reports and passwords "
            "end; passwords stay. Every webhook has a new secret, so its receiver rejects all events until "
            "the webhook's owner rotates the secret and gives the new one to the receiver. Exported audit "
            "seals no longer verify: export a new one with `python -m service audit seal`. To keep all of "
            "these, set the SECRET_KEY of the backup."
        )
    if missing := sum(kind.n_missing for kind in restored.manifest.files.values()):
        click.echo(
            f"{missing} files were missing at the backup: run `python -m service files verify`."
        )
    if model := _missing_model(services):
        click.echo(f"The activated model {model} is not usable: copy its folder into REGISTRY_DIR.")
    verdict = services.audit_seals.verify()
    click.echo(f"Sealed audit events in order: {verdict.n_events}")
    if verdict.fault:
        raise click.ClickException(verdict.fault)


def _missing_model(services: Services) -> str | None:
    model = services.deployments.activated()
    return model if model and services.registry.entry(model).fault else None


def _stores(services: Services) -> dict[Kind, UserStores]:
    return {"f": services.files, "o": services.originals, "b": services.batch_bytes}


def _contents(manifest: Manifest) -> str:
    n_rows = sum(table.rows for table in manifest.tables.values())
    files, size_bytes = manifest.files.values(), 0
    size_bytes = sum(kind.size_bytes for kind in files)
    n_files = sum(kind.n for kind in files)
    return f"{n_rows:,} rows of {len(manifest.tables)} tables, {n_files:,} files ({size_bytes:,} bytes)"


@contextlib.contextmanager
def _output(file: Path) -> Iterator[BinaryIO]:
    """Yield a stream whose content appears under the file's name when it is complete and on disk."""
    if str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if file.exists():
        raise Conflict(f"{file} exists already. Choose another name.")
    draft = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(file)
    except OSError as error:
        raise click.ClickException(
            f"{file} cannot be written: {error.strerror or error}"
        ) from error
    finally:
        draft.unlink(missing_ok=True)
