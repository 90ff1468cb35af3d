"""Put an artifact into the registry, with the verdict of the gate beside it.

`.venv-test/bin/python -m ml register CONFIG|FOLDER --data FILE... [--against FOLDER] [--force --why ...]`

Scores the candidate and the model that serves on the same labelled sentences, through the analyzer that
serves. Neither model may have been trained on this data, nor its thresholds chosen on it.
`python -m service models activate` reads the verdict. The serving model is the one activated last, or
MODEL_DIR if there is none or no database answers; --against names another folder.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ml.commands import command
from ml.corpus.dataset import Example, fingerprint, read_examples, targets
from ml.corpus.reading_order import score_documents
from ml.evaluation.promotion_gate import Limits, Scored, measure, refusals
from ml.settings import load as load_settings
from ml.versions import serving_folder
from service.config import settings as service_config
from service.config.settings import ROOT, Config
from service.errors import RiskscanError
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import MANIFEST_FILE, Artifact
from service.nlp.artifacts.registry import (
    GateRecord,
    gate_path,
    manifest_sha256,
    model_in,
    write_gate,
)

MIN_WHY_CHARS = 10
_NAMED = "as --against says"


class RegisterError(RiskscanError):
    """The artifact is not put into the registry."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for."""

    folder: Path
    data: Sequence[Path]
    against: Path
    force: bool = False
    why: str | None = None
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    chosen: str = _NAMED
    """Why it is measured against that one."""


def decide(request: Request) -> GateRecord:
    """Score both models on the data and return the verdict; the same data give the same one.

    Raises:
        ArtifactError: a folder is no artifact, or its model fails its proof.
        DatasetError: the data cannot be read.
        RegisterError: both are the same model.
    """
    examples = [example for path in request.data for example in read_examples(path)]
    model, serving = model_in(request.folder), model_in(request.against)
    if model == serving:
        raise RegisterError(f"{model} cannot be measured against itself; give it another version.")
    candidate, other = (_scored(folder, examples) for folder in (request.folder, request.against))
    docs = [e.doc for e in examples]
    figures = measure(candidate, other, targets(examples), docs, seed=request.seed)
    reasons = refusals(figures, request.limits)
    return GateRecord(
        model=model,
        manifest_sha256=manifest_sha256(request.folder),
        against=serving,
        passed=not reasons,
        reasons=tuple(reasons),
        figures={**figures.as_json(), "limits": asdict(request.limits), "seed": request.seed},
        data_fingerprint=fingerprint(examples),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        forced=bool(reasons) and request.force,
        why=request.why,
    )


def register(folder: Path, registry_dir: Path, record: GateRecord) -> Path:
    """Copy the artifact to its place in the registry and write its record; return the place.

    What is there already stays when it is the same. The copy appears whole or not at all.

    Raises:
        RegisterError: other content has this name and version.
        ArtifactError: the folder is no artifact.
    """
    artifact = artifacts.load(folder)
    target = registry_dir / record.model
    if not (target / MANIFEST_FILE).is_file():
        _copy(artifact, target)
    elif manifest_sha256(target) != record.manifest_sha256:
        raise RegisterError(
            f'{target} holds other content; a version never changes. Set `version = "next"` in the '
            f"configuration file and run `{command('ml', 'export', 'CONFIG')}` and the steps after it again."
        )
    write_gate(gate_path(registry_dir, record.model), record)
    return target


def _scored(folder: Path, examples: Sequence[Example]) -> Scored:
    """Score every example with the model in `folder`."""
    analyzer = LocalAnalyzer.open(folder, device="cpu", n_threads=1)
    try:
        scores = score_documents(analyzer, examples)
        return Scored(scores, analyzer.decide(scores))
    finally:
        analyzer.close()


def _copy(artifact: Artifact, target: Path) -> None:
    """Copy what the manifest lists, and nothing else, into a folder beside `target`; then rename it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".registering-", dir=target.parent) as scratch:
        copy = Path(scratch) / "artifact"
        copy.mkdir()
        for name in [*artifact.manifest.files, MANIFEST_FILE]:
            shutil.copyfile(artifact.path / name, copy / name)
        artifacts.load(copy)
        try:
            copy.rename(target)
        except OSError as error:
            raise RegisterError(
                f"{target} is in the way ({error.strerror}); remove what is no artifact there."
            ) from error


def _parsed(arguments: Sequence[str] | None, config: Config) -> Request:
    parser = argparse.ArgumentParser(
        prog=command("ml", "register"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder",
        help="folder of the artifact, or the configuration it came from",
    )
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        help="files of labelled sentences, JSON lines",
    )
    parser.add_argument("--against", type=Path, help="folder of a model; default: what serves now")
    _add_limits(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--force", action="store_true", help="register although the gate refuses")
    parser.add_argument("--why", help=f"reason, at least {MIN_WHY_CHARS} characters with --force")
    given = parser.parse_args(arguments)
    if given.force and len((given.why or "").strip()) < MIN_WHY_CHARS:
        parser.error(f"--force needs --why with at least {MIN_WHY_CHARS} characters")
    folder, data = _candidate(given.folder, given.data)
    limits = Limits(
        max_loss=given.max_loss,
        min_probability=given.min_probability,
        max_calibration_error=given.max_calibration_error,
    )
    against, chosen = (given.against, _NAMED) if given.against else serving_folder(config)
    return Request(folder, data, against, given.force, given.why, limits, given.seed, chosen)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    usual = Limits()
    parser.add_argument(
        "--max-loss",
        type=float,
        default=usual.max_loss,
        help="largest possible loss of mean F1 (default %(default)s); 0 requires a significant gain",
    )
    parser.add_argument(
        "--min-probability",
        type=float,
        help="least probability of being better; replaces --max-loss",
    )
    parser.add_argument(
        "--max-calibration-error",
        type=float,
        default=usual.max_calibration_error,
        help="error that always passes (default %(default)s); above it the serving model's error plus "
        f"{usual.max_calibration_loss} is the limit",
    )


def _candidate(given: str, data: Sequence[Path]) -> tuple[Path, Sequence[Path]]:
    """Return the artifact's folder, and the files on which no threshold of it was chosen.

    Raises:
        ConfigError: the configuration cannot be read.
        RegisterError: no file is left.
    """
    if not given.endswith(".toml"):
        return Path(given), data
    settings = load_settings(Path(given))
    if settings.artifact.calibration_of:
        return settings.artifact_dir, data
    dev = (ROOT / settings.data.dev).resolve()
    kept = [path for path in data if path.resolve() != dev]
    if not kept:
        raise RegisterError(
            f"The thresholds were chosen on {dev}; name other sentences with --data."
        )
    if len(kept) < len(data):
        print(f"The thresholds were chosen on {dev}, which is left out.")
    return settings.artifact_dir, kept


def _report(record: GateRecord) -> str:
    mean = record.figures["differences"]["mean_f1"]
    verdict = "passed" if record.passed else "refused"
    verdict = (
        f"{record.model} against {record.against}, {record.figures['n_sentences']} sentences of "
        f"{record.figures['n_documents']} documents: {verdict}."
    )
    difference = (
        f"Mean F1 {100 * mean['value']:+.1f} points, 95 % interval [{100 * mean['low']:+.1f}, "
        f"{100 * mean['high']:+.1f}], better in {100 * mean['p_better']:.1f} % of the resamples; "
        f"calibration error {record.figures['calibration_error']:.3f}, that of {record.against} "
        f"{record.figures['serving_calibration_error']:.3f}."
    )
    return "\n".join([verdict, difference, *(f"- {reason}" for reason in record.reasons)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Decide, tell, and register what passed or was forced; exit status 1 where it was refused."""
    try:
        config = service_config.load()
        request = _parsed(arguments, config)
        print(f"Against {model_in(request.against)} in {request.against} ({request.chosen}).")
        record = decide(request)
        print(_report(record))
        if not record.passed and not request.force:
            raise RegisterError(
                "It was not registered; --force with --why registers it all the same."
            )
        target = register(request.folder, config.registry_dir, record)
    except RiskscanError as error:
        sys.exit(str(error))
    activate = command("service", "models", "activate", record.model)
    print(f"Registered in {target}; `{activate}` comes next.")
