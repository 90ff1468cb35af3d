"""`python -m service scan FILE...`: scan files without a server."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from service.cli.messages import error_message
from service.config import settings
from service.errors import RiskscanError
from service.nlp.artifacts.operating_points import SENSITIVITIES, Sensitivity
from service.nlp.deadline import Deadline
from service.nlp.pipeline import ScanPipeline, ScanResult, Submission


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--force-llm", is_flag=True, help="Use the configured LLM instead of the model.")
@click.option(
    "--sensitivity",
    type=click.Choice(SENSITIVITIES),
    default="balanced",
    show_default=True,
    help="Fewer missed risks (recall) or fewer false alarms (precision).",
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
    """Print the risks that FILEs state, without a server; - reads text from standard input."""
    if force_llm and sensitivity != "balanced":
        raise click.UsageError("An LLM gives no scores: use either --force-llm or --sensitivity.")
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
                click.echo(f"riskscan: {name}: {error_message(error)}", err=True)
    sys.exit(1 if failed else 0)


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
        "Place", "Score", "Category", "Risk", "Sentence", title=f"{escape(name)}: {_count(result)}"
    )
    for f in result.findings():
        risk, category = f.titles(result.analysis.taxonomy)
        score = "" if f.score is None else f"{f.score:.2f}"
        page = None if f.page is None else f"page {f.page}"
        place = ", ".join(filter(None, (f.part, page, f.heading)))
        titles = (escape(_printable(category)), escape(_printable(risk)))
        table.add_row(escape(_printable(place)), score, *titles, escape(_printable(f.context)))
    Console().print(table)


def _printable(text: str) -> str:
    """Return the text without control characters, which could drive the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _as_json(name: str, result: ScanResult) -> dict[str, Any]:
    findings = []
    for f in result.findings():
        risk, category = f.titles(result.analysis.taxonomy)
        findings.append({**asdict(f), "risk": risk, "category_title": category})
    coverage = result.coverage()
    return {
        "file": name,
        "source": result.analysis.source,
        "warnings": coverage.pop("warnings"),
        "coverage": coverage,
        "findings": findings,
    }


def _count(result: ScanResult) -> str:
    n_findings, n_sentences = len(result.findings()), len(result.document.sentences)
    return f"findings: {n_findings}, sentences: {n_sentences}"
