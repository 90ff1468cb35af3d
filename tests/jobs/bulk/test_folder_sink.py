"""The folder sink: whole part files, one job and one run for each folder."""

import json

import pyarrow.parquet as pq
import pytest

from service.errors import InvalidRequest
from service.jobs.bulk.documents import Problem, SourceDocument, digest
from service.jobs.bulk.folder_sink import FolderSink
from service.jobs.bulk.tables import bad_row, results_table, stored_row

JOB = {"model": "m/1", "sensitivity": "balanced"}


def table(*ids, bad=()):
    """Return a table of results with these ids."""
    rows = [stored_row(SourceDocument(name)) for name in ids]
    rows += [bad_row(SourceDocument(name), Problem("too_large", "Too long.")) for name in bad]
    return results_table(rows)


def rows_in(folder, sink_format):
    """Return the rows of all part files, in order."""
    parts = sorted(folder.glob(f"part-*.{sink_format}"))
    if sink_format == "parquet":
        return [row for part in parts for row in pq.read_table(part).to_pylist()]
    return [json.loads(line) for part in parts for line in part.read_text().splitlines()]


@pytest.mark.parametrize("sink_format", ["parquet", "jsonl"])
def test_later_run_continues_after_the_parts_of_earlier_ones(tmp_path, sink_format):
    for ids, bad in (("ab", "c"), ("d", "")):
        with FolderSink(tmp_path, sink_format, JOB) as sink:
            sink.write(table(*ids, bad=bad))
    assert (sink.counts.n_earlier, sink.counts.n_bad_earlier) == (3, 1)
    assert (sink.counts.n_documents, sink.counts.n_bad) == (1, 0)
    rows = rows_in(tmp_path, sink_format)
    assert [row["id"] for row in rows] == ["a", "b", "c", "d"]
    with FolderSink(tmp_path, sink_format, JOB) as sink:
        assert list(sink.written()) == [digest(row["id"], row["sha256"]) for row in rows]
    errors = [json.loads(line) for line in (tmp_path / "_errors.jsonl").read_text().splitlines()]
    assert errors == [{"id": "c", "code": "too_large", "message": "Too long."}]


def test_parts_are_a_parquet_data_set_without_our_own_columns(tmp_path):
    with FolderSink(tmp_path, "parquet", JOB, part_s=0) as sink:
        sink.write(table("a"))
        sink.write(table("b"))
    assert len(list(tmp_path.glob("part-*.parquet"))) == 2
    read = pq.read_table(tmp_path)
    assert read["id"].to_pylist() == ["a", "b"]
    assert "share" not in read.column_names


def test_rows_of_an_unfinished_part_are_written_by_the_next_run(tmp_path):
    with FolderSink(tmp_path, "parquet", JOB, part_s=0) as sink:
        sink.write(table("a"))
    (tmp_path / "_part.tmp").write_bytes(b"torn")
    (tmp_path / "_errors.jsonl").write_text('{"id": "torn')
    with FolderSink(tmp_path, "parquet", JOB) as sink:
        assert len(list(sink.written())) == 1
    assert not (tmp_path / "_part.tmp").exists()
    assert (tmp_path / "_errors.jsonl").read_text() == ""


def test_folder_of_a_run_that_was_killed_before_it_named_its_job_is_accepted(tmp_path):
    for name in ("_lock", "_part.tmp"):
        (tmp_path / name).write_bytes(b"")
    with FolderSink(tmp_path, "parquet", JOB) as sink:
        sink.write(table("a"))
    assert [row["id"] for row in rows_in(tmp_path, "parquet")] == ["a"]


def test_interrupted_run_keeps_the_rows_that_it_has(tmp_path):
    stopped = KeyboardInterrupt()
    with FolderSink(tmp_path, "jsonl", JOB) as sink:
        sink.write(table("a"))
        sink.__exit__(KeyboardInterrupt, stopped, None)
    assert [row["id"] for row in rows_in(tmp_path, "jsonl")] == ["a"]


def test_other_job_or_foreign_folder_is_refused(tmp_path):
    with FolderSink(tmp_path / "results", "parquet", JOB):
        pass
    with pytest.raises(InvalidRequest, match=r"another model \(m/1, not m/2\)"):
        FolderSink(tmp_path / "results", "parquet", JOB | {"model": "m/2"}).__enter__()
    with pytest.raises(InvalidRequest, match="other files"):
        FolderSink(tmp_path, "parquet", JOB).__enter__()
    assert [file.name for file in tmp_path.iterdir()] == ["results"]


def test_second_run_into_a_folder_is_refused_while_one_writes(tmp_path):
    with FolderSink(tmp_path, "parquet", JOB), pytest.raises(InvalidRequest, match="Another run"):
        FolderSink(tmp_path, "parquet", JOB).__enter__()
    with FolderSink(tmp_path, "parquet", JOB):
        pass
