"""Processes divide what the settings allow all of them together."""

import pytest

from service.config.settings import load
from service.errors import ConfigError
from service.server.process_share import lead_of_others, share_of_process

DIVIDED = (
    "threads",
    "buffer_memory_bytes",
    "database_pool_size",
    "cache_sentences",
    "connection_limit",
    "batch_workers",
)


def shares(n, n_cpus=8, **settings):
    config = load({"WEB_PROCESSES": str(n), **settings})
    return config, [share_of_process(config, index, n_cpus=n_cpus) for index in range(n)]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_shares_add_up_to_the_setting(n):
    config, parts = shares(n)
    for name in DIVIDED:
        assert sum(getattr(part, name) for part in parts) == getattr(config, name)


def test_one_process_keeps_all():
    config, [part] = shares(1)
    assert part == config


@pytest.mark.parametrize(
    ("n", "n_cpus", "passes"), [(2, 2, [1, 1]), (3, 8, [3, 3, 2]), (4, 2, [1, 1, 1, 1])]
)
def test_processes_divide_the_cpus(n, n_cpus, passes):
    assert [part.inference_threads for part in shares(n, n_cpus)[1]] == passes


def test_inference_threads_are_divided():
    _, parts = shares(2, n_cpus=2, INFERENCE_THREADS="6")
    assert [part.inference_threads for part in parts] == [3, 3]


def test_every_process_has_a_thread_and_a_connection_for_it():
    _, parts = shares(4, THREADS="2")
    assert [part.threads for part in parts] == [1, 1, 1, 1]
    assert all(part.database_pool_size >= 5 for part in parts)


def test_pool_that_is_too_small_for_the_processes_is_refused():
    with pytest.raises(ConfigError, match=r"WEB_PROCESSES=4.*Set it to 28 or more"):
        load({"WEB_PROCESSES": "4", "DATABASE_POOL_SIZE": "20"})


def test_processes_without_a_cpu_of_their_own_get_connections_last():
    _, parts = shares(4, THREADS="128")
    assert [lead_of_others(part, i, n_cpus=2) for i, part in enumerate(parts)] == [0, 0, 32, 32]
    assert [lead_of_others(part, i, n_cpus=8) for i, part in enumerate(parts)] == [0, 0, 0, 0]
