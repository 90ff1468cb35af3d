"""Checks whether a CUDA device can run the model; if not, says why and what to do.

Imports torch, which takes seconds, only if there is an NVIDIA driver.
"""

from __future__ import annotations

import ctypes
import importlib.util
from dataclasses import dataclass

# The torch wheel of requirements-gpu.txt holds code for sm_75 (Turing) and newer (checked in November 2026).
MIN_CAPABILITY = (7, 5)
MIN_DRIVER = 580
"""The first driver for CUDA 13, which that wheel is built for."""


@dataclass(frozen=True, slots=True)
class Cuda:
    """GPUs, driver and torch of a machine; versions are (major, minor), None if missing."""

    driver: tuple[int, int] | None
    """Newest CUDA version that the NVIDIA driver supports."""
    torch: tuple[int, int] | None
    """CUDA version that torch is built for."""
    capabilities: tuple[tuple[int, int], ...] = ()
    """Compute capability of each GPU that torch sees, in its order."""

    def fault(self, index: int = 0) -> str | None:
        """Return why the GPU `index` cannot run the model, with the remedy; None if it can."""
        if self.driver is None:
            return (
                f"there is no NVIDIA driver here. Install driver {MIN_DRIVER} or newer on the host; a "
                "container also needs `--gpus 1`"
            )
        if self.torch is None:
            return (
                "torch is not installed, or is built for CPUs only. Use the image of Dockerfile.gpu, or "
                "`make run-gpu`"
            )
        if self.driver < self.torch:
            return (
                f"the NVIDIA driver supports CUDA {_text(self.driver)} and torch needs {_text(self.torch)}. "
                f"Install driver {MIN_DRIVER} or newer on the host"
            )
        if index >= len(self.capabilities):
            return (
                f"torch sees {len(self.capabilities)} GPUs, counted from cuda:0. Start a container with "
                "`--gpus all`, and check CUDA_VISIBLE_DEVICES"
            )
        if self.capabilities[index] < MIN_CAPABILITY:
            return (
                f"the GPU has compute capability {_text(self.capabilities[index])} and torch needs "
                f"{_text(MIN_CAPABILITY)} (Turing) or more. Use a newer GPU"
            )
        return None


def probe() -> Cuda:
    """Inspect this machine; imports torch only if there is a driver."""
    driver = _driver()
    if driver is None or importlib.util.find_spec("torch") is None:
        return Cuda(driver, None)
    import torch  # noqa: PLC0415 - takes seconds

    if torch.version.cuda is None:
        return Cuda(driver, None)
    major, minor = torch.version.cuda.split(".")[:2]
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    capabilities = tuple(torch.cuda.get_device_capability(n) for n in range(n_gpus))
    return Cuda(driver, (int(major), int(minor)), capabilities)


def _driver() -> tuple[int, int] | None:
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int(0)  # 1000 * major + 10 * minor
    library.cuDriverGetVersion(ctypes.byref(version))
    return divmod(version.value // 10, 100)


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
