"""Ray, as a bulk scan uses it: one of its own on this machine, or a cluster that runs already."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from service.errors import ConfigError
from service.nlp.artifacts.registry import manifest_sha256

OBJECT_STORE_BYTES = 512 * 1024 * 1024
"""Shared memory for blocks on their way; what does not fit waits, or is spilled to the temporary folder."""
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Keeps Ray's own servers on 127.0.0.1, as Ray does by default on systems other than Linux."""
_CHECK_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Cluster:
    """Ray's nodes. `n_workers` counts those that the run may use: one for each core, or for each GPU."""

    n_workers: int
    n_nodes: int
    driver_resource: str
    """The resource that only this machine has: what asks for it runs here."""


@contextlib.contextmanager
def connect(address: str | None, *, n_workers: int | None, uses_gpu: bool) -> Iterator[Cluster]:
    """Start Ray on this machine, or join the cluster at `address`; stop or leave it at the end.

    Ray's messages go to files in a private folder, which is deleted unless Ray failed.

    Raises:
        ConfigError: Ray does not start, the cluster cannot be reached, or has no such device.
    """
    os.environ.update(_ENVIRONMENT if address else _ENVIRONMENT | _LOOPBACK)
    with _log_folder() as folder, _native_errors_to(folder / "driver.log"):
        try:
            _start(address, n_workers, folder)
            signal.signal(signal.SIGTERM, _interrupt)
            yield _cluster(n_workers, uses_gpu=uses_gpu)
        finally:
            ray.shutdown()


def check_model(folder: Path) -> None:
    """Raise ConfigError unless every node of the cluster has this model in the same folder."""
    expected = manifest_sha256(folder)
    nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    read = ray.remote(num_cpus=0, max_retries=0)(_manifest_sha256)
    answers = {
        node: read.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))
        .remote(str(folder))
        for node in nodes
    }  # fmt: skip
    faults = {}
    for node, answer in answers.items():
        try:
            found = ray.get(answer, timeout=_CHECK_TIMEOUT_S)
        except RayError as error:
            found = f"the service's code does not run there ({type(error).__name__})"
        if found != expected:
            faults[nodes[node]] = found or "no model there"
    if faults:
        listed = "; ".join(
            f"{address}: {fault if ' ' in fault else 'another model there'}"
            for address, fault in faults.items()
        )
        raise ConfigError(
            f"Not every node of the cluster has this model in {folder} ({listed}). Install the service "
            "at the same path on each node, with the same models_cache or MODEL_DIR."
        )


def _manifest_sha256(folder: str) -> str | None:
    try:
        return manifest_sha256(Path(folder))
    except OSError:
        return None


def _start(address: str | None, n_workers: int | None, folder: Path) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(
                address="local",
                num_cpus=n_workers,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                _temp_dir=str(folder / "ray"),
                **quiet,
            )
    except (RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"the Ray cluster at {address}" if address else "Ray on this machine"
        remedy = (
            "Run this on a machine of the cluster, or unset RAY_ADDRESS to use this machine alone."
            if address
            else "See the files in TMPDIR, which needs 1 GB and a path of at most 50 characters."
        )
        raise ConfigError(
            f"{where[0].upper()}{where[1:]} cannot be used: {_first_line(error)} {remedy}"
        ) from error


def _cluster(n_workers: int | None, *, uses_gpu: bool) -> Cluster:
    resources = ray.cluster_resources()
    available = int(resources.get("GPU" if uses_gpu else "CPU", 0))
    if not available:
        raise ConfigError(
            "Ray finds no GPU. Use --device cpu, or see that `nvidia-smi` works on its nodes."
            if uses_gpu
            else "The Ray cluster has no CPU. Start its nodes without --num-cpus=0."
        )
    return Cluster(
        min(n_workers or available, available),
        sum(node["Alive"] for node in ray.nodes()),
        f"node:{ray.util.get_node_ip_address()}",
    )


@contextlib.contextmanager
def _log_folder() -> Iterator[Path]:
    """Yield a private folder for Ray's files, which may hold documents that were spilled."""
    folder = Path(tempfile.mkdtemp(prefix="riskscan-bulk-"))
    try:
        yield folder
    except RayError as error:
        error.add_note(f"Ray's files are in {folder}.")
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    else:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _native_errors_to(path: Path) -> Iterator[None]:
    """Send what Ray's C++ code and its threads print to a file; Python's standard error stays as it is."""
    before, python_stderr = os.dup(2), sys.stderr
    terminal = os.fdopen(os.dup(before), "w", buffering=1, encoding="utf-8", errors="replace")
    try:
        with path.open("wb") as log:
            os.dup2(log.fileno(), 2)
        sys.stderr = terminal
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        sys.stderr = python_stderr
        terminal.close()


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__
