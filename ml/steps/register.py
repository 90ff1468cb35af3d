"""`python -m ml register`: put an artifact into the registry if it passes the promotion gate."""

from __future__ import annotations

from pathlib import Path

import click

from ml.artifact.registration import RegisterError, Request, candidate_folder, decide, report
from ml.artifact.registration import register as copy_into_registry
from ml.commands import ListOptions, command
from ml.evaluation.promotion_gate import Limits
from ml.versions import serving_folder
from service.config import settings as service_config
from service.nlp.artifacts.registry import model_in

MIN_WHY_CHARS = 10
_PATH = click.Path(path_type=Path)
_DEFAULTS = Limits()


@click.command(cls=ListOptions)
@click.argument("folder", metavar="CONFIG|FOLDER")
@click.option(
    "--data",
    type=_PATH,
    multiple=True,
    required=True,
    metavar="FILE...",
    help="Files of labelled sentences, JSON lines.",
)
@click.option("--against", type=_PATH, help="Folder of a model; default: the serving model.")
@click.option(
    "--max-loss",
    type=float,
    default=_DEFAULTS.max_loss,
    show_default=True,
    help="Largest possible loss of mean F1; 0 requires a significant gain.",
)
@click.option(
    "--min-probability",
    type=float,
    help="Least probability of being better; replaces --max-loss.",
)
@click.option(
    "--max-calibration-error",
    type=float,
    default=_DEFAULTS.max_calibration_error,
    show_default=True,
    help="Error that always passes; above it the limit is the serving model's error plus "
    f"{_DEFAULTS.max_calibration_loss}.",
)
@click.option("--seed", default=0, help="Seed of the bootstrap.")
@click.option("--force", is_flag=True, help="Register although the gate refuses.")
@click.option("--why", help=f"Reason, at least {MIN_WHY_CHARS} characters with --force.")
def register(
    folder: str,
    *,
    data: tuple[Path, ...],
    against: Path | None,
    max_loss: float,
    min_probability: float | None,
    max_calibration_error: float,
    seed: int,
    force: bool,
    why: str | None,
) -> None:
    """Put an artifact into the registry, with the verdict of the promotion gate beside it.

    Scores the candidate and the serving model on the same labelled sentences, through the analyzer that
    serves. Neither model may have been trained on these, nor its thresholds chosen on them.
    `python -m service models activate` reads the verdict.

    The serving model is the one activated last, or MODEL_DIR if there is none or no database answers;
    --against names another folder.

    Exit status 1 if the gate refuses the candidate.
    """
    if force and len((why or "").strip()) < MIN_WHY_CHARS:
        raise click.UsageError(f"--force needs --why with at least {MIN_WHY_CHARS} characters")
    config = service_config.load()
    candidate, files = candidate_folder(folder, data)
    limits = Limits(
        max_loss=max_loss,
        min_probability=min_probability,
        max_calibration_error=max_calibration_error,
    )
    serving, reason = (against, "as --against says") if against else serving_folder(config)
    run(
        Request(candidate, files, serving, force, why, limits, seed),
        registry_dir=config.registry_dir,
        reason=reason,
    )


def run(request: Request, *, registry_dir: Path, reason: str) -> None:
    """Decide, report, and register the candidate if it passed or is forced.

    `reason` explains the choice of the model that it is measured against.

    Raises:
        RegisterError: the gate refused it.
    """
    print(f"Against {model_in(request.against)} in {request.against} ({reason}).")
    record = decide(request)
    print(report(record))
    if not record.passed and not request.force:
        raise RegisterError("It was not registered; --force with --why registers it all the same.")
    target = copy_into_registry(request.folder, registry_dir, record)
    activate = command("service", "models", "activate", record.model)
    print(f"Registered in {target}; next: `{activate}`.")
