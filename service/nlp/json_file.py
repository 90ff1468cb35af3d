"""JSON files of models, read into pydantic models."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from service.config.validation import sentence
from service.errors import ArtifactError

M = TypeVar("M", bound=BaseModel)


def read_json(model: type[M], path: Path, *, remedy: str) -> M:
    """Return the content of the file `path` as a `model`.

    Raises:
        ArtifactError: the file is missing or invalid; the message names each invalid field and `remedy`.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({type(error).__name__}). {remedy}") from error
    except ValidationError as error:
        raise ArtifactError(f"{path}: {sentence(error)}. {remedy}") from error
