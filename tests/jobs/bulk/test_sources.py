"""Sources: files, tables and rows in, documents with ids out."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text

from service.config.settings import load
from service.errors import InvalidRequest
from service.jobs.bulk.source import SourceOptions, open_source

CONFIG = load({"MAX_FILE_BYTES": "2000"})


def documents(name, kind="auto", **options):
    """Return the documents of a source by id."""
    source = open_source(str(name), SourceOptions(kind, **options), CONFIG)
    found = list(source.documents())
    assert [d.share for d in found] == sorted(d.share for d in found)
    assert not found or found[-1].share == 1
    assert len({d.id for d in found}) == len(found)
    return {d.id: d for d in found}


def write_lines(path, *rows):
    """Write rows as JSON lines; a string is a line already."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_folder_yields_every_file_below_by_its_path(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "late.txt").write_text("The supplier is late.")
    (tmp_path / "plan.md").write_bytes(b"# Plan")
    (tmp_path / ".hidden").write_text("x")
    found = documents(tmp_path)
    assert list(found) == ["a/b/late.txt", "plan.md"]
    assert found["plan.md"].content == b"# Plan"
    assert found["a/b/late.txt"].name == "late.txt"


def test_folder_with_a_file_over_the_limit_or_a_broken_name_still_yields_it(tmp_path):
    (tmp_path / "long.txt").write_text("x" * 2001)
    (tmp_path / "caf\udce9.txt").write_text("x")
    found = documents(tmp_path)
    assert found["long.txt"].problem.code == "too_large"
    assert found["caf\\udce9.txt"].content == b"x"


def test_jsonl_yields_texts_and_files(tmp_path):
    (tmp_path / "memo.txt").write_text("The budget is tight.")
    path = write_lines(
        tmp_path / "in.jsonl", {"id": 7, "text": "One \ud800"}, "", {"path": "memo.txt"}
    )
    found = documents(path)
    assert list(found) == ["7", "memo.txt"]
    assert found["7"].is_text
    assert found["memo.txt"].content == b"The budget is tight."


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "not a JSON object"),
        ('{"id": 1}', 'either the string "text"'),
        ('{"id": 1, "text": "x", "path": "y"}', 'either the string "text"'),
        ('{"text": "x"}', 'must have "id"'),
        ('{"id": true, "text": "x"}', 'must have "id"'),
        ('{"id": 1, "path": "absent.txt"}', "cannot be read"),
        ('{"id": 1, "path": "a\\u0000"}', "null"),
        ('{"id": 1, "text": "' + "x" * 20_000_000 + '"}', "MAX_TEXT_CHARS"),
    ],
)
def test_jsonl_with_a_bad_line_names_it_and_reads_on(tmp_path, line, message):
    path = write_lines(tmp_path / "in.jsonl", line, {"id": "good", "text": "x"})
    bad, good = documents(path).values()
    assert message in bad.problem.message
    assert good.id == "good"


def test_jsonl_in_a_folder_and_packed_is_read(tmp_path):
    write_lines(tmp_path / "a.jsonl", {"key": "1", "body": "x"})
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write('{"key": "2", "body": "y"}\n')
    found = documents(tmp_path, "jsonl", id_column="key", text_column="body")
    assert list(found) == ["1", "2"]


def test_parquet_yields_rows_of_text_or_bytes(tmp_path):
    table = pa.table({"id": [1, 2, None], "text": ["one", None, "three"]})
    pq.write_table(table, tmp_path / "in.parquet")
    found = documents(tmp_path / "in.parquet")
    assert found["1"].content == b"one"
    assert found["2"].problem.code == "invalid_request"
    assert "no id" in found["in.parquet:3"].problem.message


def test_parquet_without_the_column_names_the_columns_that_it_has(tmp_path):
    pq.write_table(pa.table({"id": [1], "body": ["x"]}), tmp_path / "in.parquet")
    with pytest.raises(InvalidRequest, match=r"no column text; it has: id, body.*--text-column"):
        documents(tmp_path / "in.parquet")
    assert documents(tmp_path / "in.parquet", text_column="body")["1"].content == b"x"


@pytest.fixture
def notes_url(empty_database_url):
    """URL of a database with 2,500 notes, some of them without a text."""
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE notes (n INTEGER PRIMARY KEY, body VARCHAR(99))"))
        rows = [{"n": 3 * n, "body": f"Note {n}: 12:30"} for n in range(2500)]
        connection.execute(text("INSERT INTO notes VALUES (:n, :body)"), rows)
    engine.dispose()
    return empty_database_url


COLUMNS = {"id_column": "n", "text_column": "body"}


def test_database_yields_every_row_of_the_query_once(notes_url):
    query = "SELECT n, body FROM notes WHERE body LIKE '%:30' -- all; "
    found = documents(notes_url, query=query, **COLUMNS)
    assert len(found) == 2500
    assert found["7497"].content == b"Note 2499: 12:30"


@pytest.mark.parametrize("value", ["n + 1", "n * 1.5"])
def test_database_with_a_number_as_text_yields_a_bad_document_and_reads_on(notes_url, value):
    found = documents(notes_url, query=f"SELECT n, {value} AS body FROM notes", **COLUMNS)
    assert len(found) == 2500
    assert all(d.problem and d.problem.code == "invalid_request" for d in found.values())


@pytest.mark.parametrize("query", ["DELETE FROM notes", "SELECT n FROM notes", "SELECT"])
def test_database_refuses_what_is_not_a_select_of_both_columns(notes_url, query):
    with pytest.raises(InvalidRequest, match="refuses --query"):
        documents(notes_url, query=query, **COLUMNS)
    assert len(documents(notes_url, query="SELECT n, body FROM notes", **COLUMNS)) == 2500


def test_database_out_of_reach_is_named_without_its_password(tmp_path):
    url = "mysql://me:hush@127.0.0.1:1/archive"
    with pytest.raises(InvalidRequest) as raised:
        documents(url, query="SELECT 1")
    assert "127.0.0.1:1" in raised.value.message
    assert "hush" not in raised.value.message
    with pytest.raises(InvalidRequest, match="unable to open"):
        documents(f"sqlite:///{tmp_path}/absent.db", query="SELECT 1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("absent", {}, "neither a folder"),
        ("absent.jsonl", {}, "No such file"),
        ("absent.parquet", {}, "cannot be read as Parquet"),
        ("absent", {"kind": "folder"}, "No such file"),
        (".", {"kind": "parquet"}, "no file that ends in .parquet"),
        ("a.jsonl", {"query": "SELECT 1"}, "nothing else takes it"),
        ("sqlite:///a.db", {}, "needs --query"),
        ("oracle://a/b", {"query": "SELECT 1"}, "must start with"),
    ],
)
def test_source_that_cannot_be_read_says_what_to_do(tmp_path, monkeypatch, name, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidRequest, match=message):
        documents(name, **options)
