"""Export: write the artifact of a finished run, without calibration and figures yet."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from ml.artifact.adapter import BASE_WEIGHTS_FILE, TENSORS_FILE, merged
from ml.artifact.adapter_writer import write_factors
from ml.artifact.base_weights import base_weights
from ml.artifact.manifest_writer import code_commit, write_manifest
from ml.artifact.network import write_network
from ml.commands import command
from ml.corpus.dataset import Dataset, load_dataset
from ml.evaluation.calibration import Calibration, uncalibrated
from ml.settings import Settings
from ml.training.checkpoints import model_path, run_risk_types
from ml.versions import resolve
from service.config import settings as config
from service.errors import ConfigError
from service.nlp.arrays import Floats
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.manifest import MANIFEST_FILE
from service.nlp.inference.network_config import NetworkConfig, read_network_config
from service.nlp.segmentation import segmenter
from service.nlp.taxonomy import TAXONOMY_FILE

_LICENCE_DIR = Path(__file__).parent / "licence"


def trained_state(run: Path) -> dict[str, Floats]:
    """Return the weights that training wrote.

    Raises:
        ConfigError: the training has not ended yet.
    """
    if not model_path(run).is_file():
        raise ConfigError(
            f"There is no {model_path(run)}; run `{command('ml', 'train', 'CONFIG')}` first."
        )
    return dict(load_file(model_path(run)))


def export(settings: Settings) -> Artifact:
    """Write the artifact of a run; replace only an earlier export of the same run.

    It has no golden sentences yet, so the service refuses it until it is calibrated.

    Raises:
        ConfigError: the run is not finished, or the folder has files that this run did not export.
        DatasetError: a file of sentences is missing or faulty.
    """
    settings = resolve(settings)
    folder = settings.artifact_dir
    check_replaceable(folder, run=settings.run_dir)
    state = trained_state(settings.run_dir)
    dataset = load_dataset(settings.data)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=folder.parent) as scratch:
        new = Path(scratch) / "artifact"
        _write(settings, state, dataset, new)
        if folder.exists():
            folder.rename(Path(scratch) / "before")
        new.rename(folder)
    return artifacts.load(folder)


def check_replaceable(folder: Path, *, run: Path) -> None:
    """Check that an export may write `folder`: it is empty, or an earlier export inside its run's folder.

    Raises:
        ConfigError: the folder holds anything else, such as a model that is shipped or registered.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    parents = folder.resolve().parents
    is_export = (folder / MANIFEST_FILE).is_file() and run.resolve() in parents
    if not is_export or config.load().registry_dir in parents:
        raise ConfigError(
            f"{folder} holds files that this run did not export, and stays as it is. "
            f"Name a folder inside {run} under [artifact], such as {run / 'model'}."
        )


def _write(settings: Settings, state: dict[str, Floats], dataset: Dataset, folder: Path) -> None:
    run, taxonomy = settings.run_dir, dataset.taxonomy
    network = read_network_config(run / artifacts.CONFIG_FILE)
    n_labels = network.n_labels
    trained_for = run_risk_types(run)
    if n_labels != len(taxonomy.risk_types) or trained_for not in {None, taxonomy.risk_types}:
        raise ConfigError(
            f"{run} was trained for {n_labels} risk types that are not the {len(taxonomy.risk_types)} of the "
            f"taxonomy of [data]: run `{command('ml', 'train', 'CONFIG')}` again."
        )
    if settings.artifact.adapter_rank:
        state = _held_by_adapter(settings, state, network)
    write_network(state, network, folder, bits=settings.artifact.weight_bits)
    shutil.copyfile(run / artifacts.TOKENIZER_FILE, folder / artifacts.TOKENIZER_FILE)
    for name in ("LICENSE", "NOTICE"):
        shutil.copyfile(_LICENCE_DIR / name, folder / name)
    (folder / artifacts.GOLDEN_FILE).write_text("", encoding="utf-8")
    (folder / TAXONOMY_FILE).write_text(taxonomy.as_json(), encoding="utf-8")
    write_manifest(folder, _fields(settings, uncalibrated(n_labels), dataset))


def _held_by_adapter(
    settings: Settings, state: dict[str, Floats], network: NetworkConfig
) -> dict[str, Floats]:
    """Write the adapter's tensors into the run's folder; return the weights that they give back."""
    from ml.training.base import base_folder  # noqa: PLC0415 - seconds to import

    if not network.has_own_names or BASE_WEIGHTS_FILE not in settings.base.sha256:
        raise ConfigError(
            f"[artifact] adapter_rank needs a BERT or MPNet whose weights are pinned as {BASE_WEIGHTS_FILE} "
            "under [base.sha256]: set it to 0."
        )
    base = base_weights(base_folder(settings.base), network)
    path, rank = settings.run_dir / TENSORS_FILE, settings.artifact.adapter_rank
    loss = write_factors(state, base, path, rank=rank)
    print(
        f"{path}: {loss.n_bytes:,} bytes. Rank {rank} keeps {100 * loss.kept:.2f} % of the norm of the "
        f"changes, and {100 * loss.worst:.2f} % in {loss.worst_matrix}, the worst matrix."
    )
    return merged(base, path)


def _fields(settings: Settings, calibration: Calibration, dataset: Dataset) -> dict[str, Any]:
    base, labels = settings.base, dataset.taxonomy.risk_types
    return {
        "name": settings.artifact.name,
        "version": settings.artifact.version,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_commit": code_commit(),
        "base_model": {
            "name": base.name,
            "license": base.license,
            "sha256": dict(base.sha256),
        },
        "taxonomy_version": dataset.taxonomy.version,
        "segmenter": {"name": segmenter.NAME, "version": segmenter.VERSION},
        "dataset_fingerprint": dataset.fingerprint,
        "weight_bits": settings.artifact.weight_bits,
        "max_length_tokens": settings.train.max_length_tokens,
        "golden_tolerance": settings.artifact.golden_tolerance,
        "metrics": {},
        "labels": [*labels],
        **calibration.fields(labels),
    }
