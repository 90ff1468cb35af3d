"""Registration: run the promotion gate on an artifact, and copy the artifact into the registry."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml.commands import command
from ml.corpus.dataset import Example, fingerprint, read_examples, targets
from ml.corpus.reading_order import score_documents
from ml.evaluation.promotion_gate import Figures, Limits, Scored, measure, refusals
from ml.settings import load
from service.config.settings import ROOT
from service.errors import RiskscanError
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.manifest import MANIFEST_FILE
from service.nlp.artifacts.registry import (
    GateRecord,
    gate_path,
    manifest_sha256,
    model_in,
    write_gate,
)
from service.nlp.taxonomy import Taxonomy


class RegisterError(RiskscanError):
    """The artifact is not put into the registry."""


@dataclass(frozen=True, slots=True)
class Request:
    """A candidate, the model it is measured against, and the sentences to measure both on."""

    folder: Path
    data: Sequence[Path]
    against: Path
    force: bool = False
    why: str | None = None
    limits: Limits = field(default_factory=Limits)
    seed: int = 0


def candidate_folder(name: str, data: Sequence[Path]) -> tuple[Path, Sequence[Path]]:
    """Return the artifact's folder, and the files of `data` that neither trained it nor chose its thresholds.

    `name` is the folder, or the configuration file that it came from.

    Raises:
        ConfigError: the configuration cannot be read.
        RegisterError: no file is left.
    """
    if not name.endswith(".toml"):
        return Path(name), data
    settings = load(Path(name))
    dev = [] if settings.artifact.calibration_of else settings.data.dev_sets
    files, reasons = list(data), []
    trained = (settings.data.trained_on, "which trained the model")
    chosen_on = (dev, "on which its thresholds were chosen")
    for used, how in (trained, chosen_on):
        of_model = {(ROOT / name).resolve() for name in used}
        if known := [path for path in files if path.resolve() in of_model]:
            files = [path for path in files if path not in known]
            reasons.append(f"{', '.join(map(str, known))}, {how}")
    left_out = f"Left out: {'; '.join(reasons)}."
    if not files:
        raise RegisterError(f"{left_out} Name other sentences with --data.")
    if reasons:
        print(left_out)
    return settings.artifact_dir, files


def decide(request: Request) -> GateRecord:
    """Score both models on the data and return the verdict; the same data give the same one.

    A model with other risk types cannot be compared with the serving one: it is refused, without figures.

    Raises:
        ArtifactError: a folder is no artifact, or its model misses the golden scores.
        DatasetError: the data cannot be read.
        RegisterError: both are the same model.
    """
    model, serving = model_in(request.folder), model_in(request.against)
    if model == serving:
        raise RegisterError(f"{model} cannot be measured against itself; give it another version.")
    taxonomy, serving_taxonomy = (
        artifacts.load(folder).taxonomy for folder in (request.folder, request.against)
    )
    examples = [e for path in request.data for e in read_examples(path, taxonomy)]
    figures: dict[str, Any] = {}
    if taxonomy.risk_types == serving_taxonomy.risk_types:
        measured = _measured(request, examples, taxonomy)
        figures = {**measured.as_json(), "limits": asdict(request.limits), "seed": request.seed}
        reasons = refusals(measured, request.limits, taxonomy=taxonomy)
    else:
        reason = f"It has other risk types than {serving}, so the two cannot be compared"
        reasons = [f"{reason}; activating it changes the taxonomy of the service."]
    return GateRecord(
        model=model,
        manifest_sha256=manifest_sha256(request.folder),
        against=serving,
        passed=not reasons,
        reasons=tuple(reasons),
        figures=figures,
        data_fingerprint=fingerprint(examples),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        forced=bool(reasons) and request.force,
        why=request.why,
    )


def register(folder: Path, registry_dir: Path, record: GateRecord) -> Path:
    """Copy the artifact into the registry and write its record; return the new folder.

    A registered artifact with the same content is left alone. The copy is atomic.

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


def _measured(request: Request, examples: Sequence[Example], taxonomy: Taxonomy) -> Figures:
    candidate, other = (_scored(folder, examples) for folder in (request.folder, request.against))
    y, docs = targets(examples, taxonomy), [e.doc for e in examples]
    return measure(candidate, other, y, docs, taxonomy=taxonomy, seed=request.seed)


def _scored(folder: Path, examples: Sequence[Example]) -> Scored:
    """Score every example with the model in `folder`."""
    analyzer = LocalAnalyzer.open(folder, device="cpu", n_threads=1)
    try:
        scores = score_documents(analyzer, examples)
        return Scored(scores, analyzer.decide(scores))
    finally:
        analyzer.close()


def _copy(artifact: Artifact, target: Path) -> None:
    """Copy the files of the manifest, and no others, into a folder beside `target`; then rename it."""
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
                f"{target} exists and is not an artifact ({error.strerror}); remove it."
            ) from error


def report(record: GateRecord) -> str:
    """Return the verdict in words, with its figures and reasons."""
    verdict = "passed" if record.passed else "refused"
    if not record.figures:
        return "\n".join([f"{record.model} against {record.against}: {verdict}.", *record.reasons])
    mean = record.figures["differences"]["mean_f1"]
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
