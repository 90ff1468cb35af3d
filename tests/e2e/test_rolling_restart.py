"""Replicas behind nginx are stopped and started in turn, and no request fails."""

import contextlib

import pytest

from tests.e2e.replicas import Load, Replicas
from tests.support.databases import fresh_database

pytestmark = pytest.mark.slow


def replace_under_load(folder, *, rounds, n_clients, answers_between, **settings):
    """Replace each of two replicas `rounds` times; return the load and the lines of those that ended."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(fresh_database("mysql", folder))
        replicas = stack.enter_context(Replicas(folder, 2, DATABASE_URL=url, **settings))
        lines = []
        with Load(replicas.nginx, n_clients=n_clients) as load:
            for _ in range(rounds):
                load.go_on(answers_between)
                for port in replicas.ports:
                    lines += replicas.replace(port)
            load.go_on(answers_between)
        return load, lines


@pytest.mark.parametrize("n_processes", ["1", "2"])
def test_replicas_that_restart_in_turn_fail_no_request(tmp_path, n_processes):
    load, lines = replace_under_load(
        tmp_path, rounds=5, n_clients=8, answers_between=300, WEB_PROCESSES=n_processes
    )
    print(f"{load.n_answers:,} answers, 10 restarts, {len(load.failures)} failures")
    assert load.failures == []
    assert not [line for line in lines if '"level": "ERROR"' in line]
