"""Thin commands: serve, scan FILE, users, feedback, models, db. The work is done elsewhere."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from service.cli.database import db
from service.cli.models import models
from service.cli.services import open_services
from service.cli.users import users
from service.config import settings
from service.config.database_address import shown
from service.domain.reviews.adjudication import Status
from service.errors import RiskscanError
from service.nlp.artifacts.operating_points import SENSITIVITIES, Sensitivity
from service.nlp.deadline import Deadline
from service.nlp.pipeline import ScanPipeline, ScanResult, Submission


class _Commands(click.Group):
    """A group whose commands report our errors as one sentence and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        try:
            return super().invoke(ctx)
        except RiskscanError as error:
            click.echo(f"riskscan: {_sentence(error)}", err=True)
            ctx.exit(1)


@click.group(cls=_Commands, invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Serve Riskscan, or run one of the commands."""
    if context.invoked_subcommand is None:
        context.invoke(serve)


@main.command()
def serve() -> None:
    """Migrate the database, prove the model, and answer HTTP until SIGTERM."""
    from service.server.startup import serve as serve_until_signal  # noqa: PLC0415 - the server's libraries only here

    serve_until_signal(settings.load())


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--force-llm", is_flag=True, help="Ask the configured LLM, not the model.")
@click.option(
    "--sensitivity",
    type=click.Choice(SENSITIVITIES),
    default="balanced",
    show_default=True,
    help="Miss fewer risks (recall) or raise fewer false alarms (precision).",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="Deadline of one file in seconds, instead of AI_TIMEOUT_S.",
)
def scan(
    files: tuple[str, ...],
    *,
    as_json: bool,
    force_llm: bool,
    sensitivity: Sensitivity,
    timeout_s: float,
) -> None:
    """Print the risks that FILEs state; - reads text from standard input. Needs no server."""
    if force_llm and sensitivity != "balanced":
        raise click.UsageError("An LLM gives no scores; choose one of --force-llm, --sensitivity.")
    from service.domain.services import build_services  # noqa: PLC0415 - loads the model's libraries

    config = settings.load()
    failed = False
    with build_services(config) as services:
        for name in files:
            try:
                submission = replace(
                    _submission(name), force_llm=force_llm, sensitivity=sensitivity
                )
                deadline = Deadline.after(timeout_s, remedy="raise --timeout")
                result = _scan(services.pipeline, name, submission, deadline)
                for warning in result.warnings:
                    click.echo(f"riskscan: {name}: Warning: {warning.message}", err=True)
                _print(name, result, as_json=as_json)
            except (RiskscanError, OSError) as error:
                failed = True
                click.echo(f"riskscan: {name}: {_sentence(error)}", err=True)
    sys.exit(1 if failed else 0)


main.add_command(models)
main.add_command(users)
main.add_command(db)


@main.group()
def feedback() -> None:
    """Take what reviewers said to where models are trained."""


@feedback.command("export")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write, readable by its owner only (default: standard output).",
)
@click.option(
    "--since",
    type=click.DateTime(),
    help="Only sentences whose feedback changed at this date or time (UTC) or later.",
)
def export_feedback(out: Path | None, since: datetime | None) -> None:
    """Write the judged sentences as JSON lines, as ml reads them; counts go to standard error."""
    from service.domain.audit import Actor  # noqa: PLC0415 - the database's libraries only here

    actor = Actor.current_operator()
    since_utc = since.replace(tzinfo=UTC) if since else None
    config = settings.load()
    with open_services(config) as services:
        try:
            if out is None:
                counts = services.feedback_export.write(sys.stdout, actor=actor, since=since_utc)
            else:
                counts = services.feedback_export.write_file(out, actor=actor, since=since_utc)
        except OSError as error:
            click.echo(f"riskscan: {out or 'standard output'}: {_sentence(error)}", err=True)
            sys.exit(1)
    for status in reversed(Status):
        left_out = " (left out)" if status is Status.UNVERIFIED and counts[status] else ""
        click.echo(f"{status.name.lower()}: {counts[status]}{left_out}", err=True)
    database = shown(config.database_url)
    click.echo(f"Exported from {database}; its audit trail records the export.", err=True)


def _submission(name: str) -> Submission:
    if name == "-":
        return Submission(data=sys.stdin.buffer.read())
    path = Path(name)
    return Submission(data=path.read_bytes(), filename=path.name)


def _scan(
    pipeline: ScanPipeline, name: str, submission: Submission, deadline: Deadline
) -> ScanResult:
    with Progress(
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task(name, total=None)
        return pipeline.scan(
            submission,
            deadline=deadline,
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )


def _print(name: str, result: ScanResult, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_as_json(name, result), ensure_ascii=False))
        return
    table = Table(
        "Page", "Score", "Category", "Risk", "Sentence", title=f"{escape(name)}: {_count(result)}"
    )
    for f in result.analysis.findings:
        score = "" if f.score is None else f"{f.score:.2f}"
        page = "" if f.page is None else str(f.page)
        titles = (escape(_harmless(f.category_title)), escape(_harmless(f.risk)))
        table.add_row(page, score, *titles, escape(_harmless(f.context)))
    Console().print(table)


def _harmless(text: str) -> str:
    """Return the text without control characters, which could drive the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _as_json(name: str, result: ScanResult) -> dict[str, Any]:
    findings = [
        {**asdict(f), "risk": f.risk, "category_title": f.category_title}
        for f in result.analysis.findings
    ]
    coverage = result.coverage()
    return {
        "file": name,
        "source": result.analysis.source,
        "warnings": coverage.pop("warnings"),
        "coverage": coverage,
        "findings": findings,
    }


def _count(result: ScanResult) -> str:
    n_findings, n_sentences = len(result.analysis.findings), len(result.document.sentences)
    return f"findings: {n_findings}, sentences: {n_sentences}"


def _sentence(error: RiskscanError | OSError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    details = [fault.message for fault in error.faults if fault.message not in error.message]
    return " ".join([error.message, *details])
