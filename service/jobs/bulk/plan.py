"""Turns the options of a bulk scan into its parts: source, sink, model and workers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from db.queries.settings import get_settings
from service.config.settings import SECRET_NAMES, Config
from service.domain.accounts import user_admin
from service.domain.database_upgrade import upgrade_database
from service.domain.preferences import preferences
from service.domain.services import build_services
from service.errors import ConfigError, InvalidRequest
from service.jobs.bulk.database_sink import DatabaseSink
from service.jobs.bulk.folder_sink import PART_S, FolderSink, SinkFormat
from service.jobs.bulk.run import BulkScan
from service.jobs.bulk.scanner import WorkerOptions, open_scanner
from service.jobs.bulk.source import SourceOptions, open_source
from service.jobs.bulk.stored_scanner import Owner, open_stored_scanner
from service.nlp.artifacts.operating_points import Sensitivity
from service.nlp.artifacts.registry import manifest_sha256, model_in
from service.nlp.inference import cuda
from service.nlp.inference.default_model import default_folder

DATABASE = "database"
"""The SINK that means the service's own database."""


@dataclass(frozen=True, slots=True)
class BulkOptions:
    """What the command line says. `user` and `errors` are for the sink DATABASE, `sink_format` for others."""

    source: str
    sink: str
    source_options: SourceOptions
    sink_format: SinkFormat = "parquet"
    user: str = ""
    errors: Path = Path("bulk-errors.jsonl")
    sensitivity: Sensitivity = "balanced"
    device: str | None = None
    n_workers: int | None = None
    limit: int | None = None
    timeout_s: float = 3600
    part_s: float = PART_S
    ray_address: str | None = None


def plan(options: BulkOptions, config: Config) -> BulkScan:
    """Return the run, after a check of the source, the model's folder and the account; starts nothing.

    Raises:
        InvalidRequest, NotFound, ConfigError, ArtifactError: the message names the remedy.
    """
    source = open_source(options.source, options.source_options, config)
    device = _device(options.device or config.device)
    config = config.model_copy(update={"device": device})
    is_stored = options.sink == DATABASE
    config, folder, owner = _for_database(options, config) if is_stored else _for_files(config)
    model = model_in(folder)
    worker = WorkerOptions(config, folder, device, options.sensitivity, options.timeout_s)
    sink = DatabaseSink(options.errors) if owner else _folder_sink(options, model, folder)
    opener = partial(open_stored_scanner, worker, owner) if owner else partial(open_scanner, worker)
    return BulkScan(
        source,
        sink,
        worker,
        opener,
        n_workers=options.n_workers,
        limit=options.limit,
        ray_address=options.ray_address,
    )


def _folder_sink(options: BulkOptions, model: str, folder: Path) -> FolderSink:
    source, sink = Path(options.source), Path(options.sink)
    if source.is_dir() and sink.resolve().is_relative_to(source.resolve()):
        raise InvalidRequest(
            f"SINK {sink} is inside SOURCE, so a later run would scan the results. Name a folder outside."
        )
    job = {
        "model": model,
        "manifest_sha256": manifest_sha256(folder),
        "sensitivity": options.sensitivity,
    }
    return FolderSink(sink, options.sink_format, job, part_s=options.part_s)


def _for_files(config: Config) -> tuple[Config, Path, None]:
    """Return settings without secrets, since Ray sends them to the workers, and the default model."""
    secrets = {name.lower(): "" for name in SECRET_NAMES}
    return config.model_copy(update=secrets), default_folder(config), None


def _for_database(options: BulkOptions, config: Config) -> tuple[Config, Path, Owner]:
    """Return the settings, the model that serves, and the owner of the documents."""
    if options.ray_address and config.database_url.startswith("sqlite"):
        raise ConfigError(
            "The workers of a cluster cannot share an SQLite file. Set DATABASE_URL to a database server, or "
            "unset RAY_ADDRESS."
        )
    upgrade_database(config)
    with build_services(config) as services:
        user_id = services.transactions.read(user_admin.id_of, options.user)
        stored = services.transactions.read(get_settings, user_id)
        activated = services.deployments.activated()
        folder = services.registry.folder(activated) if activated else default_folder(config)
        return services.signing_config, folder, Owner(user_id, preferences(stored))


def _device(device: str) -> str:
    """Return cpu or cuda; Ray gives each worker a GPU of its own, so that no number is needed."""
    if device == "auto":
        return "cpu" if cuda.probe().fault() else "cuda"
    if device != "cpu" and (fault := cuda.probe().fault()):
        raise ConfigError(f"DEVICE={device} cannot be used: {fault}. Or use --device cpu.")
    return device.partition(":")[0]
