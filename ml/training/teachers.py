"""The teachers' outputs for each sentence: logits, and the vector that their heads read.

A large teacher takes an hour for 100,000 sentences on a slow CPU, so the run's folder keeps outputs by the
sentence's digest. A resumed training, and the process of another seed, score no sentence again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from ml.corpus.dataset import Example, load_taxonomy
from ml.settings import Settings, TrainSettings
from ml.training import cross_fitting
from ml.training.batches import encode, in_bfloat16, logits_and_vectors
from ml.training.trained_models import (
    TrainedModel,
    check_risk_types,
    groups_that_fit,
    mean_network,
    open_models,
)
from service.config.settings import ROOT
from service.nlp.arrays import Floats

Halves = npt.NDArray[np.float16]
Rows = Mapping[bytes, tuple[Floats, Halves]]

FILE = "teachers.safetensors"
_AT_ONCE = 1024
"""Sentences between two checks whether to save: about half a minute of a large teacher."""


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """The teachers' outputs for n sentences.

    `probabilities` is float32 (n, n_risk_types). `vectors` is float16 (n, width), or None
    if nothing learns them.
    """

    probabilities: torch.Tensor
    vectors: torch.Tensor | None


def lessons(settings: Settings, examples: Sequence[Example]) -> Lessons:
    """Return the mean output of the teachers for each sentence.

    The mean is of weights for teachers of one shape, and of logits for others, each of which reads the
    sentences by its own tokenizer; their vectors stand side by side, each of length 1. A sentence that a
    teacher held out of its own training takes that teacher's cross-fitted score instead of the mean's.

    Raises:
        ConfigError: a teacher is missing, or has other risk types than the data.
    """
    recipe = settings.train
    models = open_models(recipe.teachers)
    for model in models:
        check_risk_types(model, load_taxonomy(settings.data).risk_types, key="[train] teachers")
    held_out = [cross_fitting.read(ROOT / name) for name in recipe.teachers]
    unseen = [cross_fitting.held_out_logits(e, held_out) for e in examples]
    needs_vectors = recipe.vector_weight > 0
    read = [e.text for e, known in zip(examples, unseen, strict=True) if needs_vectors or not known]
    rows = scored(settings, models, read)
    digests = [cross_fitting.digest(e.text) for e in examples]
    logits = [
        np.mean(known, axis=0) if known else rows[key][0]
        for key, known in zip(digests, unseen, strict=True)
    ]
    vectors = torch.from_numpy(np.array([rows[k][1] for k in digests])) if needs_vectors else None
    probabilities = torch.sigmoid(softened(torch.from_numpy(np.array(logits, np.float32)), recipe))
    return Lessons(probabilities, vectors)


def softened(logits: torch.Tensor, recipe: TrainSettings) -> torch.Tensor:
    """Return the logits, their part above `teacher_bend` multiplied by `teacher_slope`."""
    above = (logits - recipe.teacher_bend).clamp(min=0)
    return logits - (1 - recipe.teacher_slope) * above


def scored(settings: Settings, models: Sequence[TrainedModel], texts: Sequence[str]) -> Rows:
    """Return logits (n_risk_types,) and vector (width,) by digest, of each text and of all scored before.

    Reads the rows in the run's folder, then computes and adds those that are missing; a killed computation
    loses `save_every_min` at most. A second process waits for the first.
    """
    if not texts:
        return {}
    path, recipe = settings.run_dir / FILE, settings.train
    fingerprint = _fingerprint(models, recipe)
    with _locked(path):
        rows = _read(path, fingerprint)
        missing = {cross_fitting.digest(text): text for text in texts}
        missing = {key: text for key, text in missing.items() if key not in rows}
        saved_at_s = time.monotonic()
        for new in _computed(models, missing, recipe) if missing else ():
            rows |= new
            is_last = len(missing.keys() - rows.keys()) == 0
            if is_last or time.monotonic() - saved_at_s > 60 * recipe.save_every_min:
                _write(path, fingerprint, rows)
                saved_at_s = time.monotonic()
                print(f"teachers: {len(rows):,} sentences scored", flush=True)
    return rows


def _computed(
    models: Sequence[TrainedModel], texts: Mapping[bytes, str], recipe: TrainSettings
) -> Iterator[dict[bytes, tuple[Floats, Halves]]]:
    """Yield logits and vectors of the texts, some of them at a time."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    groups = groups_that_fit(models)
    networks = [mean_network(group, dropout=0.0).to(device) for group in groups]
    keys = list(texts)
    for begin in range(0, len(keys), _AT_ONCE):
        some = keys[begin : begin + _AT_ONCE]
        total: list[Floats] = []
        beside: list[Floats] = []
        for group, network in zip(groups, networks, strict=True):
            ids = encode(group[0].tokenizer, [texts[key] for key in some], recipe.max_length_tokens)
            logits, pooled = logits_and_vectors(network, ids, bfloat16=in_bfloat16(recipe))
            total.append(logits.numpy())
            beside.append(torch.nn.functional.normalize(pooled, dim=1).numpy())
        mean: Floats = np.mean(total, axis=0, dtype=np.float32)
        vectors = np.concatenate(beside, axis=1).astype(np.float16)
        yield dict(zip(some, zip(mean, vectors, strict=True), strict=True))


def _read(path: Path, fingerprint: str) -> dict[bytes, tuple[Floats, Halves]]:
    """Return the rows of the file; none if it is missing or other teachers wrote it."""
    if not path.is_file():
        return {}
    with safe_open(path, framework="numpy") as file:
        if (file.metadata() or {}).get("teachers") != fingerprint:
            return {}
        digests, logits, vectors = (
            file.get_tensor(name) for name in ("digests", "logits", "vectors")
        )
    pairs = zip(logits, vectors, strict=True)
    return {bytes(d): pair for d, pair in zip(digests, pairs, strict=True)}


def _write(path: Path, fingerprint: str, rows: Rows) -> None:
    """Write the file; a kill while writing leaves the previous one."""
    tensors: dict[str, npt.NDArray[np.generic]] = {
        "digests": np.array([list(key) for key in rows], np.uint8),
        "logits": np.array([logits for logits, _ in rows.values()], np.float32),
        "vectors": np.array([vector for _, vector in rows.values()], np.float16),
    }
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"teachers": fingerprint})
    part.replace(path)


def _fingerprint(models: Sequence[TrainedModel], recipe: TrainSettings) -> str:
    """Return the sha256 (hex) over everything that determines the teachers' outputs."""
    found = hashlib.sha256(f"{recipe.max_length_tokens} {in_bfloat16(recipe)}".encode())
    for model in models:
        found.update(json.dumps(asdict(model.config)).encode())
        found.update(model.tokenizer.to_str().encode())
        for name, tensor in sorted(model.state.items()):
            found.update(name.encode())
            found.update(tensor.detach().float().numpy().tobytes())
    return found.hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file; the operating system drops it if the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
