"""`python -m service models`: list, verify, shadow, activate and roll back models."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from db.tables import Deployment
from service.cli.services import open_services
from service.config import settings
from service.config.database_address import redact
from service.config.settings import Config
from service.domain.audit import Actor
from service.domain.deployments.deployments import Overview, mean_abs_score_difference
from service.errors import DatabaseUnavailable


@click.group()
def models() -> None:
    """List model artifacts, and choose the one that serves."""


@models.command("verify")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def verify_model(folder: Path | None) -> None:
    """Check an artifact's hashes and labels and reproduce its golden scores (default: the default model)."""
    from service.nlp.analyzers.factory import open_model  # noqa: PLC0415 - loads the model's libraries
    from service.nlp.inference.default_model import default_folder  # noqa: PLC0415 - as above

    config = settings.load()
    analyzer = open_model(config, folder or default_folder(config))
    click.echo(f"{analyzer.model_name} {analyzer.model_version} is verified.")
    analyzer.close()


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as GET /api/v1/admin/models.")
def list_models(*, as_json: bool) -> None:
    """Show every model of the registry, its state and gate record, and the shadow's figures."""
    from service.api.schemas.deployments import ModelListOut  # noqa: PLC0415 - loads the API's libraries

    with open_services(settings.load()) as services:
        overview = services.deployments.overview()
    if as_json:
        click.echo(json.dumps(ModelListOut().dump(overview.as_dict()), ensure_ascii=False))
        return
    for line in _table_lines(overview):
        click.echo(line)
    if overview.shadow is not None:
        click.echo(f"Shadow: {overview.shadow.to_model}, share {overview.shadow.share:g}")
    for total in overview.totals:
        mean = mean_abs_score_difference(total)
        difference = "" if mean is None else f", mean score difference {mean:.3f}"
        click.echo(
            f"{total.shadow} beside {total.serving}: {total.n_scans} scans, both found {total.n_agreeing}, "
            f"serving alone {total.n_only_serving}, shadow alone {total.n_only_shadow}, "
            f"dropped {total.n_dropped}{difference}"
        )


@models.command("active")
def active() -> None:
    """Print the NAME/VERSION that was activated last, or nothing.

    Exits with status 75 if the database is unavailable or its schema is not current.
    """
    from service.domain.services import activated_model  # noqa: PLC0415 - loads the database's libraries

    try:
        model = activated_model(settings.load())
    except DatabaseUnavailable as error:
        click.echo(f"riskscan: {error.message}", err=True)
        sys.exit(os.EX_TEMPFAIL)
    if model is not None:
        click.echo(model)


@models.command("activate")
@click.argument("model", metavar="NAME/VERSION")
@click.option("--force", is_flag=True, help="Activate without a passed gate; needs --why.")
@click.option("--why", help="The reason, stored with the deployment.")
def activate(model: str, *, force: bool, why: str | None) -> None:
    """Serve NAME/VERSION in every process, if it passed its gate against the serving model."""
    config = settings.load()
    with open_services(config) as services:
        deployments = services.deployments
        _report(
            deployments.activate(model, actor=Actor.current_operator(), why=why, force=force),
            config,
        )


@models.command("rollback")
@click.option("--why", help="The reason, stored with the deployment.")
def rollback(*, why: str | None) -> None:
    """Serve the previous model again, in every process."""
    config = settings.load()
    with open_services(config) as services:
        deployments = services.deployments
        _report(deployments.rollback(actor=Actor.current_operator(), why=why), config)


@models.command("shadow")
@click.argument("model", metavar="NAME/VERSION", required=False)
@click.option("--share", type=click.FloatRange(0, 1), help="Share of the scans, from 0 to 1.")
@click.option("--off", is_flag=True, help="Stop shadowing.")
@click.option("--why", help="The reason, stored with the deployment.")
def shadow(model: str | None, *, share: float | None, off: bool, why: str | None) -> None:
    """Also score a share of the scans with NAME/VERSION, after the response; --off stops it."""
    if off == (model is not None) or (model is not None and share is None):
        raise click.UsageError("Give NAME/VERSION and --share, or --off alone.")
    config = settings.load()
    with open_services(config) as services:
        deployments = services.deployments
        if model is None or share is None:
            deployment = deployments.end_shadow(actor=Actor.current_operator())
            change = "No model was shadowing" if deployment is None else "Shadowing ends"
            click.echo(f"{change} in {redact(config.database_url)}.")
            return
        _report(
            deployments.shadow(model, share=share, actor=Actor.current_operator(), why=why), config
        )


def _report(deployment: Deployment, config: Config) -> None:
    share = "" if deployment.share is None else f", share {deployment.share:g}"
    forced = ", forced" if deployment.forced else ""
    click.echo(
        f"Deployment {deployment.n}: {deployment.kind} {deployment.to_model} "
        f"(before: {deployment.from_model}{share}{forced}), "
        f"recorded in {redact(config.database_url)}. "
        "Running processes apply it within MODEL_POLL_S seconds."
    )


def _table_lines(overview: Overview) -> Iterator[str]:
    """Yield a line for each model, with its gate and faults below; names are never truncated."""
    names = [f"{item['name']}/{item['version']}" for item in overview.items]
    width = max(map(len, ("MODEL", *names)))
    yield f"{'MODEL':{width}}  STATE      CREATED     F1 RISK/CAT./TYPE"
    for name, item in zip(names, overview.items, strict=True):
        created = (item["created_at"] or "")[:10]
        yield f"{name:{width}}  {item['state']:9}  {created:10}  {_f1(item['metrics'])}".rstrip()
        gate = item["gate"]
        if gate is not None:
            yield f"  {'passed' if gate.passed else 'failed'} its gate against {gate.against}"
        yield from (f"  {fault}" for fault in item["faults"])


def _f1(metrics: Mapping[str, Any]) -> str:
    values = [metrics.get(key) for key in ("risk_f1", "category_f1", "type_f1")]
    return "/".join(f"{v[0]:.3f}" for v in values if isinstance(v, list) and v)
