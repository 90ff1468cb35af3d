"""The number of CPUs that this process may use. Imports nothing of ours and nothing heavy."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


@cache
def cpu_quota(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the smaller of CPU affinity and cgroup quota, at least 1, as it was at the first call.

    So a process that later confines itself to its share of the CPUs still counts all of them.
    """
    return max(1, min(len(os.sched_getaffinity(0)), _cgroup_quota(cgroup)))


def _cgroup_quota(cgroup: Path) -> int:
    try:
        quota, period = _v2(cgroup) if (cgroup / "cpu.max").is_file() else _v1(cgroup / "cpu")
        return round(int(quota) / int(period)) if int(quota) > 0 else os.cpu_count() or 1
    except (OSError, ValueError):  # the quota is "max", or no cgroup is mounted
        return os.cpu_count() or 1


def _v2(cgroup: Path) -> list[str]:
    return (cgroup / "cpu.max").read_text(encoding="ascii").split()


def _v1(cgroup: Path) -> list[str]:
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    return [(cgroup / name).read_text(encoding="ascii") for name in names]
