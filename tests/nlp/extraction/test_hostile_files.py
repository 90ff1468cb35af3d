"""Hostile files of the formats that contain others: an answer within time and memory, whatever they hold."""

import resource
from contextlib import suppress

import pytest

from service.errors import TooLarge, UnreadableDocument, UnsupportedMediaType
from service.nlp.extraction.extractor import Extractor
from tests.support import documents
from tests.support.hostile_files import HOSTILE

MOST_CPU_S = 10
MOST_BYTES = 1_000_000_000


def children_cpu_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def largest_bytes(who):
    return resource.getrusage(who).ru_maxrss * 1_024


@pytest.mark.parametrize("title", HOSTILE)
def test_extract_hostile_file_is_refused_or_read_within_its_limits(title):
    filename, build = HOSTILE[title]
    data = build()
    before_s, before_bytes = children_cpu_s(), largest_bytes(resource.RUSAGE_CHILDREN)
    extractor = Extractor(**documents.limits(timeout_s=8))
    with suppress(TooLarge, UnreadableDocument, UnsupportedMediaType):
        assert extractor.extract(data, filename=filename, media_type=None).blocks
    assert children_cpu_s() - before_s < MOST_CPU_S
    # The largest child of an earlier test counts, and a child counts the process that forked it.
    most = max(MOST_BYTES, before_bytes, largest_bytes(resource.RUSAGE_SELF))
    assert largest_bytes(resource.RUSAGE_CHILDREN) <= most


def test_hostile_files_are_at_least_sixty():
    assert len(HOSTILE) >= 60
