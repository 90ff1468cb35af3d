"""The kind of a document: from the row, or from the shipped patterns."""

from pathlib import Path

import pytest

from ml.corpus.dataset import read_examples
from ml.corpus.kinds import NO_KINDS, Kinds, read_kinds
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.taxonomy import built_in


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"domain": "audit"}, "audit"),
        ({"source": "repo:agreements/credit/2005 CREDIT AGREEMENT.txt"}, "contract"),
        ({"doc": "handbook:leave", "domain": "business"}, "policy"),
        ({"domain": "policy", "doc": "incident-response"}, "policy"),
        ({"domain": "software", "doc": "readme"}, ""),
        ({"domain": "audit", "kind": "letter"}, "letter"),
        ({}, ""),
    ],
)
def test_shipped_patterns_find_the_kind(row, kind):
    assert read_kinds(ROOT / "ml/data/kinds.toml").of(row) == kind


def test_first_matching_kind_counts():
    assert Kinds({"a": ["x*"], "b": ["*y"]}).of({"doc": "XY"}) == "a"
    assert NO_KINDS.of({"doc": "xy"}) == ""


def test_read_examples_sets_kind_and_file(tmp_path: Path):
    (tmp_path / "some.jsonl").write_text('{"text": "It fails.", "labels": [], "doc": "x"}\n')
    (example,) = read_examples(tmp_path / "some.jsonl", built_in(), kinds=Kinds({"a": ["x"]}))
    assert (example.kind, example.file) == ("a", "some")


@pytest.mark.parametrize("text", ["contract = 3", 'contract = "x"', "[[", None])
def test_faulty_kinds_are_refused(tmp_path: Path, text):
    if text is not None:
        (tmp_path / "kinds.toml").write_text(text)
    with pytest.raises(ConfigError, match="kinds"):
        read_kinds(tmp_path / "kinds.toml")
