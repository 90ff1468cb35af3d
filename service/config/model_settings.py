"""Settings of the model, or of the service that replaces it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from service.config.field_types import Device, ProjectPath, Secret, ServiceUrl, Text
from service.config.shipped_model import folder_of


class ModelSettings(BaseModel):
    model: Text = Field(
        "",
        description="The default model: fast, accurate (`make accurate` builds it), or NAME/VERSION in "
        "models_cache. Empty: on a GPU the accurate one if it is built, else fast, the model that "
        "models_cache/CURRENT names.",
    )
    model_dir: ProjectPath = Field(
        default_factory=lambda data: folder_of(data.get("model", "")),
        description="Folder of the default model, if it is not in models_cache. It serves until an "
        "administrator activates another, and whenever that one fails. Empty: what MODEL says.",
    )
    registry_dir: ProjectPath = Field(
        Path("models_cache"),
        description="Folder of the model registry. Each name/version in it may serve or run as a "
        "shadow.",
    )
    model_poll_s: int = Field(
        5,
        ge=1,
        le=3600,
        description="Interval in seconds between checks for a changed deployment: activation, "
        "rollback or shadow.",
    )
    device: Device = Field(
        "auto",
        description="Device that runs the model: cpu, cuda, cuda:1 for the second GPU, or auto: a "
        "GPU if one is usable, else the CPU.",
    )
    inference_threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Number of concurrent forward passes of the model, one CPU thread each. 0: the"
        " CPU quota.",
    )
    cache_sentences: int = Field(
        50000,
        ge=0,
        le=10_000_000,
        description="Number of sentences whose scores the service caches, 0.8 kB each. 0: no "
        "cache.",
    )
    early_exit: Literal["on", "off"] = Field(
        "on",
        description="Whether certainly harmless sentences leave the network half-way, if the model has "
        "an exit. The model card says what this costs. On a GPU none leaves.",
    )
    ai_timeout_s: int = Field(
        60,
        ge=1,
        le=3600,
        description="Deadline of a scan in seconds, text extraction included. Set the proxy's "
        "timeout 60 s higher.",
    )
    ai_service_url: ServiceUrl = Field(
        "",
        description="Address of another service with POST /scan, which then replaces the model in "
        "this process.",
    )
    ai_service_token: Secret = Field(
        "", description="Bearer token that the service sends to AI_SERVICE_URL."
    )
    ai_service_open: bool = Field(
        False,
        description="Whether POST /scan works without a token. Use it in private networks only.",
    )
