"""The block reader: each document once, in blocks of limited bytes."""

from dataclasses import dataclass
from hashlib import blake2b

import pytest

from service.jobs.bulk.digest_set import DigestSet
from service.jobs.bulk.documents import digest, text_document
from service.jobs.bulk.folder_sink import FolderSink
from service.jobs.bulk.reader import BLOCK_BYTES, BlockReader
from service.jobs.bulk.tables import results_table, stored_row


@dataclass
class Texts:
    """A source of texts by id."""

    texts: list

    def documents(self):
        for document_id, text in self.texts:
            yield text_document(document_id, text, share=0.5)


def ids(texts, **options):
    """Return the ids of each block."""
    reader = BlockReader(Texts(texts), options.pop("written", tuple), **options)
    return [[d.id for d in block] for block in reader.blocks()]


def test_blocks_have_limited_bytes_and_long_documents_stand_alone():
    long = "x" * (BLOCK_BYTES + 1)
    assert ids([("a", "x"), ("b", "x"), ("c", long), ("d", "x")]) == [["a", "b"], ["c"], ["d"]]
    assert [len(block) for block in ids([(str(n), "x") for n in range(300)])] == [256, 44]


def test_document_with_the_same_id_and_content_is_yielded_once():
    assert ids([("a", "x"), ("a", "x"), ("a", "y"), ("b", "x")]) == [["a", "a", "b"]]


def test_documents_in_the_sink_are_left_out_and_count_towards_the_limit():
    texts = [(name, "x") for name in "abcde"]
    document = text_document("b", "x", share=0)
    written = [digest(document.id, document.sha256)]
    assert ids(texts, written=lambda: written, limit=3) == [["a", "c"]]


@pytest.mark.parametrize("sink_format", ["parquet", "jsonl"])
def test_blocks_that_are_read_again_during_a_run_are_the_same(tmp_path, sink_format):
    source = Texts([(name, "x") for name in "abcd"])
    with FolderSink(tmp_path, sink_format, {}) as sink:
        sink.write(results_table([stored_row(text_document("a", "x", share=0))]))
    with FolderSink(tmp_path, sink_format, {}, part_s=0) as sink:
        reader = BlockReader(source, sink.written)
        first = list(reader.blocks())
        sink.write(results_table([stored_row(document) for document in first[0][:2]]))
        assert list(tmp_path.glob("part-000001.*"))
        assert [[d.id for d in block] for block in first] == [["b", "c", "d"]]
        assert list(reader.blocks()) == first


def test_digest_set_holds_what_was_added_across_its_array_and_set():
    digests = [
        blake2b(bytes([n]), digest_size=16).digest()[: 16 - n % 3] + b"\0" * (n % 3)
        for n in range(100)
    ]
    kept = DigestSet(digests[:50], recent=8)
    assert [d in kept for d in digests] == [True] * 50 + [False] * 50
    assert [kept.add(d) for d in digests] == [False] * 50 + [True] * 50
    assert len(kept) == 100
