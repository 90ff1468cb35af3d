"""Python on one CPU, and everything else on all of them."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.config.cpus import all_cpus, keep_python_on_one_cpu, use_all_cpus

CPUS = os.sched_getaffinity(0)
PRINT_CPUS = "import os; print(sorted(os.sched_getaffinity(0)))"

pytestmark = pytest.mark.skipif(len(CPUS) == 1, reason="this machine has one CPU")


def own_cpus():
    return os.sched_getaffinity(0)


def in_new_thread(work):
    """Run it where it changes the CPUs of no other test."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_thread_and_those_that_it_starts_share_one_cpu():
    def work():
        keep_python_on_one_cpu()
        return own_cpus(), in_new_thread(own_cpus)

    own, started = in_new_thread(work)
    assert len(own) == 1
    assert started == own


def test_thread_may_use_all_cpus():
    def work():
        keep_python_on_one_cpu()
        use_all_cpus()
        return own_cpus()

    assert in_new_thread(work) == CPUS


def test_block_and_its_processes_use_all_cpus():
    def work():
        keep_python_on_one_cpu()
        with all_cpus():
            printed = subprocess.check_output([sys.executable, "-c", PRINT_CPUS], text=True)
        return printed, own_cpus()

    printed, own = in_new_thread(work)
    assert printed == f"{sorted(CPUS)}\n"
    assert len(own) == 1
