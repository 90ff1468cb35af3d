"""Gives each process its share of the CPUs, and its Python one of them (service/config/cpus.py)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from service.config.cpus import keep_python_on_one_cpu, stay_on
from service.config.settings import Config
from service.nlp.cpu_quota import cpu_quota
from service.server.process_share import share


def pin_process(config: Config, index: int) -> None:
    """Keep process `index`, and the threads and children that it starts later, on its share of the CPUs.

    Its Python stays on one CPU of the share. Does nothing if PIN_PROCESSES is off, or if a quota allows fewer
    CPUs than there are: other containers may then use the same CPUs.
    """
    cpus = sorted(os.sched_getaffinity(0))
    if config.pin_processes and cpu_quota() >= len(cpus):
        stay_on(cpus_of_process(cpus, config.web_processes, index))
        keep_python_on_one_cpu()


def cpus_of_process(cpus: Sequence[int], n: int, index: int) -> Sequence[int]:
    """Return the neighbouring CPUs of process `index` of `n`; with more processes than CPUs, one of them."""
    if n > len(cpus):
        return [cpus[index % len(cpus)]]
    begin = sum(share(len(cpus), n, i) for i in range(index))
    return cpus[begin : begin + share(len(cpus), n, index)]
