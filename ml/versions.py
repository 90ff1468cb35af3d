"""Resolve "serving" and "next" in a configuration: the serving model, and the next free version."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ml.settings import NEXT, SERVING, ArtifactSettings, Settings
from service.config import settings as service_config
from service.config.settings import ROOT, Config
from service.config.shipped_model import shipped_folders
from service.errors import ConfigError, DatabaseUnavailable
from service.nlp.artifacts.registry import Registry, model_in
from service.nlp.inference.default_model import default_folder

_FIRST = "1.0.0"
_NUMBERED = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def serving_folder(config: Config) -> tuple[Path, str]:
    """Return the folder of the serving model, and the reason for the choice.

    Raises:
        NotFound: the model activated last is not in REGISTRY_DIR.
    """
    default = default_folder(config)
    try:
        model = _activated_model(config)
    except DatabaseUnavailable as error:
        return default, f"the default model, since the database cannot be read: {error}"
    if not model:
        return default, "the default model, since no model was activated"
    folder = _registry(config).folder(model)
    return folder, "it was activated last"


def _registry(config: Config) -> Registry:
    return Registry(config.registry_dir, default_folder(config), shipped=shipped_folders())


def _activated_model(config: Config) -> str:
    """Return the name/version that was activated last, "" if none was.

    Runs the service's command, since ml imports neither its database nor its web framework.
    """
    process = subprocess.run(
        [sys.executable, "-m", "service", "models", "active"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": config.database_url},
        capture_output=True,
        text=True,
        check=False,
    )
    message = process.stderr.strip().removeprefix("riskscan: ")
    if process.returncode == os.EX_TEMPFAIL:
        raise DatabaseUnavailable(message)
    if process.returncode:
        raise ConfigError(f"`python -m service models active` failed: {message}")
    return process.stdout.strip()


def resolve(settings: Settings) -> Settings:
    """Replace "serving" by the folder of the serving model, and "next" by the next version.

    Raises:
        ConfigError: a setting of the service is wrong, or the registry has the version already.
        NotFound: the model activated last is not in REGISTRY_DIR.
    """
    config = service_config.load()
    artifact, base, train = settings.artifact, settings.base, settings.train
    artifact = replace(artifact, version=_version(artifact, config))
    if SERVING in (artifact.calibration_of, *base.start, *train.teachers):
        folder, why = serving_folder(config)
        print(f"{SERVING} is {model_in(folder)} in {folder} ({why}).")
        name = str(folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder)
        [calibration_of] = _with_serving([artifact.calibration_of], name)
        artifact = replace(artifact, calibration_of=calibration_of)
        base = replace(base, start=_with_serving(base.start, name))
        train = replace(train, teachers=_with_serving(train.teachers, name))
    return replace(settings, artifact=artifact, base=base, train=train)


def _version(artifact: ArtifactSettings, config: Config) -> str:
    models = _registry(config).models()
    if artifact.version == NEXT:
        return next_version(artifact.name, models)
    if f"{artifact.name}/{artifact.version}" in models:
        raise ConfigError(
            f"{artifact.name}/{artifact.version} is in the registry, and a version never changes: "
            f'set `version = "{NEXT}"` under [artifact], or name another.'
        )
    return artifact.version


def _with_serving(names: Sequence[str], serving: str) -> list[str]:
    return [serving if name == SERVING else name for name in names]


def next_version(name: str, models: Iterable[str]) -> str:
    """Return the minor version after the highest of `name` among `models`, which are name/version.

    Versions that are not three numbers do not count; 1.0.0 if there is none.
    """
    versions = (model.removeprefix(f"{name}/") for model in models if model.startswith(f"{name}/"))
    numbers = [tuple(map(int, m.groups())) for v in versions if (m := _NUMBERED.fullmatch(v))]
    if not numbers:
        return _FIRST
    major, minor, _ = max(numbers)
    return f"{major}.{minor + 1}.0"
