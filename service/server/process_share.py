"""The share of one of WEB_PROCESSES processes in what the settings allow all of them together."""

from __future__ import annotations

from service.config.settings import Config
from service.nlp.cpu_quota import cpu_quota

_AT_LEAST_1 = ("threads", "buffer_memory_bytes", "database_pool_size", "connection_limit")


def share_of_process(config: Config, index: int, *, n_cpus: int | None = None) -> Config:
    """Return the settings of process `index`, counted from 0; `n_cpus` is the CPU quota by default.

    The shares add up to the setting, unless that has less than one for each process.
    """
    n = config.web_processes
    if n == 1:
        return config
    n_passes = config.inference_threads or n_cpus or cpu_quota()
    shares = {name: max(1, share(getattr(config, name), n, index)) for name in _AT_LEAST_1}
    shares["inference_threads"] = max(1, share(n_passes, n, index))
    shares["batch_workers"] = share(config.batch_workers, n, index)
    shares["cache_sentences"] = share(config.cache_sentences, n, index)
    return config.model_copy(update=shares)


def lead_of_others(config: Config, index: int, *, n_cpus: int | None = None) -> int:
    """Return how many connections more than process `index`, whose settings are `config`, others should have.

    With more processes than CPUs, the last ones share the CPUs of the first. One busy process on a CPU does
    more than two: its forward passes are larger and its caches warm.
    """
    return min(config.threads, config.connection_limit) if index >= (n_cpus or cpu_quota()) else 0


def share(total: int, n: int, index: int) -> int:
    """Return part `index` of `total` in `n` parts, which differ by at most 1."""
    return total // n + (index < total % n)
