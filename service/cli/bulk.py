"""`python -m service bulk SOURCE SINK`: scan archives of millions of documents."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.cli.bulk_progress import show_progress
from service.cli.messages import error_message
from service.config import settings
from service.errors import ConfigError, RiskscanError
from service.nlp.artifacts.operating_points import SENSITIVITIES

if TYPE_CHECKING:
    from service.jobs.bulk.folder_sink import SinkFormat
    from service.jobs.bulk.run import BulkScan
    from service.jobs.bulk.sink import Counts
    from service.jobs.bulk.source import SourceKind

DATABASE = "database"
ERRORS_FILE = "_errors.jsonl"
_ERRORS = "bulk-errors.jsonl"
SOME_BAD, INTERRUPTED = 3, 130
"""Exit statuses: some documents could not be read; stopped by SIGINT or SIGTERM."""
_EXTRA = {"ray", "pyarrow", "pandas"}
_MISSING = (
    "Bulk scans need Ray, which is not installed. Run `pip install -r requirements-bulk.txt -c "
    "constraints.txt` in the service's environment."
)


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("sink", metavar="SINK")
@click.option(
    "--from",
    "kind",
    type=click.Choice(["auto", "folder", "jsonl", "parquet", "database"]),
    default="auto",
    show_default=True,
    help="What SOURCE is; a folder of .jsonl or .parquet files needs it.",
)
@click.option("--id-column", default="id", show_default=True, help="Column or field of the ids.")
@click.option("--text-column", default="text", show_default=True, help="The same of the texts.")
@click.option("--query", help="SELECT with both columns, for a database; unique in the ids.")
@click.option(
    "--to",
    "sink_format",
    type=click.Choice(["parquet", "jsonl"]),
    help="Format of the files in SINK.  [default: parquet]",
)
@click.option("--user", metavar="EMAIL", help="Owner of the documents, if SINK is database.")
@click.option(
    "--errors",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the bad documents, if SINK is database.  [default: bulk-errors.jsonl]",
)
@click.option(
    "--sensitivity",
    type=click.Choice(SENSITIVITIES),
    default="balanced",
    show_default=True,
    help="Fewer missed risks (recall) or fewer false alarms (precision).",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="One worker for each core (cpu) or each GPU (cuda).  [default: DEVICE]",
)
@click.option("--workers", "n_workers", type=click.IntRange(min=1), help="At most so many workers.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first documents of SOURCE.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="Deadline of one document in seconds, instead of AI_TIMEOUT_S.",
)
@click.option(
    "--part-seconds",
    "part_s",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="Time after which a file in SINK is complete; a kill loses no more.",
)
@click.option(
    "--ray-address",
    envvar="RAY_ADDRESS",
    metavar="HOST:PORT",
    help="Ray cluster to use, instead of this machine alone (RAY_ADDRESS).",
)
def bulk(
    source: str,
    sink: str,
    *,
    kind: SourceKind,
    id_column: str,
    text_column: str,
    query: str | None,
    sink_format: SinkFormat | None,
    user: str | None,
    errors: Path | None,
    **options: Any,  # noqa: ANN401 - they are named like the fields of BulkOptions
) -> None:
    """Scan every document of SOURCE into SINK; run the same command again to continue after a stop.

    SOURCE is a folder of documents, a .jsonl or .parquet file, or the address of a database. SINK is a
    folder, or the word database for the service's own. Exit status: 0 all documents were read, 3 some were
    not, 1 the run failed.
    """
    _check(sink, sink_format, user, errors)
    if (options["ray_address"] or "").startswith("ray://"):
        raise click.UsageError("ray:// is not supported: run this on a machine of the cluster.")
    try:
        from service.jobs.bulk import plan as plans  # noqa: PLC0415 - loads Ray and the model's libraries
        from service.jobs.bulk.source import SourceOptions  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise ConfigError(_MISSING) from error
    asked = plans.BulkOptions(
        source,
        sink,
        SourceOptions(kind, id_column, text_column, query),
        sink_format=sink_format or "parquet",
        user=user or "",
        errors=errors or Path(_ERRORS),
        **options,
    )
    counts = _run(partial(plans.plan, asked, settings.load()), sink)
    _report(counts, asked.errors if sink == DATABASE else Path(sink) / ERRORS_FILE)


def _check(sink: str, sink_format: str | None, user: str | None, errors: Path | None) -> None:
    """Raise UsageError for options that do not fit together."""
    if sink == DATABASE and not user:
        raise click.UsageError("SINK database needs --user, the e-mail address of an account.")
    if sink == DATABASE and sink_format:
        raise click.UsageError("--to is for folders; for a folder named database write ./database.")
    if sink != DATABASE and (user or errors):
        raise click.UsageError("--user and --errors are for SINK database only.")


def _run(plan: Callable[[], BulkScan], sink: str) -> Counts:
    """Run the scan; exit with INTERRUPTED if it is stopped."""
    try:
        scan = plan()
        with show_progress() as report:
            return scan.run(report)
    except KeyboardInterrupt:
        click.echo("riskscan: Stopped. Run the same command again to continue.", err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:
        raise RiskscanError(f"{error.filename or sink}: {error_message(error)}.") from error


def _report(counts: Counts, errors: Path) -> None:
    """Print the counts; exit with SOME_BAD if the sink has bad documents."""
    earlier = f", {counts.n_earlier:,} by earlier runs" if counts.n_earlier else ""
    click.echo(f"Scanned {counts.n_documents:,} documents{earlier}.", err=True)
    if n_bad := counts.n_bad + counts.n_bad_earlier:
        click.echo(f"{n_bad:,} of them could not be read; {errors} says why.", err=True)
        sys.exit(SOME_BAD)
