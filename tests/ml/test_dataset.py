"""Faulty files are named by line; no sentence or document stands in two splits."""

import json
from pathlib import Path

import pytest

from ml import dataset
from ml.dataset import DatasetError, Example, load_dataset, read_examples
from ml.settings import DataSettings
from service.config import ROOT
from service.nlp.taxonomy import RISK_TYPES

AUTHORED = sorted((ROOT / "ml/data").glob("authored-*.jsonl"))


def write(path: Path, *rows) -> str:
    path.write_text(
        "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
    )
    return str(path)


def row(text: str, *labels: str, **more):
    return {"text": text, "labels": list(labels), **more}


@pytest.mark.parametrize("path", AUTHORED, ids=lambda p: p.name)
def test_committed_sentences_pass_the_checks(path: Path):
    assert len(read_examples(path)) > 100


def test_committed_sentences_hold_every_risk_type():
    labels = {label for path in AUTHORED for e in read_examples(path) for label in e.labels}
    assert labels == set(RISK_TYPES)


def test_committed_sentences_leave_out_the_documented_example():
    texts = {dataset.normalized(e.text) for path in AUTHORED for e in read_examples(path)}
    assert dataset.normalized("Project has tight budget and aggressive deadline") not in texts


def test_missing_file_says_what_to_do():
    with pytest.raises(DatasetError, match=r"nowhere\.jsonl.*\[data\]"):
        read_examples(Path("nowhere.jsonl"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{\n", "line 2: expected"),
        ('{"text": "Late."}\n', "line 2: expected"),
        ('["Late."]\n', "line 2: expected"),
        ('{"text": "  ", "labels": []}\n', "line 2: text is a sentence"),
        ('{"text": "Late.", "labels": "schedule-delay"}\n', "line 2: text is a sentence"),
        ('{"text": "Late.", "labels": ["lateness"]}\n', "line 2: 'lateness' is no risk type"),
    ],
)
def test_faulty_line_is_named_by_its_number(tmp_path: Path, line: str, message: str):
    path = tmp_path / "faulty.jsonl"
    write(path, row("Fine."), line)
    with pytest.raises(DatasetError, match=message):
        read_examples(path)


def test_sentence_or_document_of_dev_is_dropped_from_train(tmp_path: Path):
    train = write(
        tmp_path / "train.jsonl",
        row("The  vendor may FAIL!", doc="a"),
        row("From a document of dev.", doc="d"),
        row("Kept.", doc="a"),
    )
    dev = write(tmp_path / "dev.jsonl", row("the vendor may fail", doc="d"))
    found = load_dataset(DataSettings(authored=[], real_train=[train], refine=[], dev=dev))
    assert [e.text for e in found.train] == ["Kept."]
    assert found.dropped == 2


def test_fingerprint_changes_with_a_label_and_not_with_label_order():
    one, two = Example("x", ("outage", "defects"), "d"), Example("x", ("defects", "outage"), "d")
    assert dataset.fingerprint([one]) == dataset.fingerprint([two])
    assert dataset.fingerprint([one]) != dataset.fingerprint([Example("x", ("outage",), "d")])


def test_targets_follow_the_order_of_the_taxonomy():
    y = dataset.targets([Example("x", (RISK_TYPES[3],), "d"), Example("y", (), "e")])
    assert y.shape == (2, 37)
    assert y.sum() == y[0, 3] == 1.0


def test_summary_counts_and_quotes_nothing(tmp_path: Path):
    train = write(tmp_path / "t.jsonl", row("It is late.", "schedule-delay", license="MIT"))
    dev = write(tmp_path / "d.jsonl", row("It is not."))
    settings = DataSettings(authored=[], real_train=[train], refine=[], dev=dev)
    found = dataset.summary(load_dataset(settings))
    assert found["train"]["risk_types"]["schedule-delay"] == 1
    assert found["train"]["licenses"] == {"MIT": 1}
    assert "It is" not in json.dumps(found)
