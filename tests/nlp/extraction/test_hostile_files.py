"""Hostile files of the formats that contain others: an answer within time and memory, whatever they hold."""

import resource

import pytest

from service.errors import TooLarge, UnreadableDocument, UnsupportedMediaType
from service.nlp.extraction.extractor import Extractor
from tests.support import documents
from tests.support.child_memory import WORKER, ChildMemory
from tests.support.hostile_files import HOSTILE

LIMITS = documents.limits(timeout_s=8)
MOST_CPU_S = 10
MOST_BYTES = 1_000_000_000


def children_cpu_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def was_read(extractor, data, filename):
    """Return whether a file was read; False if it was refused with an error that answers 4xx."""
    try:
        assert extractor.extract(data, filename=filename, media_type=None).blocks
    except (TooLarge, UnreadableDocument, UnsupportedMediaType):
        return False
    return True


@pytest.mark.parametrize("title", HOSTILE)
def test_extract_hostile_file_is_refused_or_read_within_its_limits(title):
    filename, build = HOSTILE[title]
    data, before_s = build(), children_cpu_s()
    extractor = Extractor(**LIMITS, worker=WORKER)
    with ChildMemory() as memory:
        is_read = was_read(extractor, data, filename)
        peak_bytes = memory.peak_bytes()
    assert children_cpu_s() - before_s < MOST_CPU_S
    # A child that the kernel killed reports nothing; RLIMIT_AS bounds it as it bounds all of them.
    assert 0 < (peak_bytes or LIMITS["memory_bytes"]) < MOST_BYTES
    assert peak_bytes or not is_read


def test_hostile_files_are_at_least_sixty():
    assert len(HOSTILE) >= 60
