"""The CPUs on which forward passes run while all Python stays on one."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.config.cpus import keep_python_on_one_cpu
from service.nlp.inference.scheduler import InferenceScheduler
from service.nlp.taxonomy import built_in
from tests.fakes.engine import LargestIdEngine

N_TYPES = len(built_in().risk_types)
CPUS = os.sched_getaffinity(0)


class RecordingEngine(LargestIdEngine):
    """Notes the CPUs of the thread that runs a pass."""

    cpus = frozenset()

    def outputs(self, input_ids, attention_mask):
        self.cpus = os.sched_getaffinity(0)
        return super().outputs(input_ids, attention_mask)


@pytest.mark.skipif(len(CPUS) == 1, reason="this machine has one CPU")
def test_forward_passes_use_all_cpus_while_python_stays_on_one(artifact):
    engine = RecordingEngine()
    scheduler = InferenceScheduler(
        engine, artifact.tokenizer(), n_types=N_TYPES, max_length_tokens=128
    )

    def score():
        keep_python_on_one_cpu()
        scheduler.outputs(["a sentence"])
        return os.sched_getaffinity(0)

    with ThreadPoolExecutor(1) as pool:  # a thread of its own, since its CPUs stay changed
        of_caller = pool.submit(score).result()
    scheduler.close()
    assert engine.cpus == CPUS
    assert len(of_caller) == 1
