"""Faulty lines are reported by number; no sentence or document is in two splits."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ml.corpus import dataset, dataset_card
from ml.corpus.dataset import DatasetError, Example, fingerprint, load_dataset, read_examples
from ml.settings import DataSettings
from service.config.settings import ROOT
from service.errors import ArtifactError
from service.nlp.taxonomy import built_in
from tests.support.own_taxonomy import OWN

RISK_TYPES = built_in().risk_types

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
    assert len(read_examples(path, built_in())) > 100


def test_committed_sentences_hold_every_risk_type():
    labels = {
        label for path in AUTHORED for e in read_examples(path, built_in()) for label in e.labels
    }
    assert labels == set(RISK_TYPES)


def test_committed_sentences_leave_out_the_documented_example():
    texts = {
        dataset.normalized(e.text) for path in AUTHORED for e in read_examples(path, built_in())
    }
    assert dataset.normalized("Project has tight budget and aggressive deadline") not in texts


def test_missing_file_names_the_remedy():
    with pytest.raises(DatasetError, match=r"nowhere\.jsonl.*\[data\]"):
        read_examples(Path("nowhere.jsonl"), built_in())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{\n", "line 2: expected"),
        ('{"text": "Late."}\n', "line 2: expected"),
        ('["Late."]\n', "line 2: expected"),
        ('{"text": "  ", "labels": []}\n', "line 2: text is a sentence"),
        ('{"text": "Late.", "labels": "schedule-delay"}\n', "line 2: text is a sentence"),
        ('{"text": "Late.", "labels": ["lateness"]}\n', "line 2: 'lateness' is not a risk type"),
        ('{"text": "Late \\ud83d.", "labels": []}\n', r"line 2: .* is half a character"),
    ],
)
def test_faulty_line_is_reported_with_its_number(tmp_path: Path, line: str, message: str):
    path = tmp_path / "faulty.jsonl"
    write(path, row("Fine."), line)
    with pytest.raises(DatasetError, match=message):
        read_examples(path, built_in())


def test_file_may_begin_with_a_byte_order_mark(tmp_path: Path):
    path = tmp_path / "marked.jsonl"
    path.write_text(json.dumps(row("Verzögerung.")) + "\n", encoding="utf-8-sig")
    assert [e.text for e in read_examples(path, built_in())] == ["Verzögerung."]


def test_file_in_another_encoding_names_the_remedy(tmp_path: Path):
    path = tmp_path / "latin.jsonl"
    path.write_text('{"text": "Verzögerung.", "labels": []}\n', encoding="latin-1")
    with pytest.raises(DatasetError, match=r"latin\.jsonl is not UTF-8"):
        read_examples(path, built_in())


def test_evaluation_sets_need_names_of_their_own_and_a_sentence(tmp_path: Path):
    (tmp_path / "other").mkdir()
    one, two = (
        Path(write(folder / "dev.jsonl", row("Due."))) for folder in (tmp_path, tmp_path / "other")
    )
    assert len(dataset.read_sets([one], built_in())) == 1
    with pytest.raises(DatasetError, match="Two files are named dev"):
        dataset.read_sets([one, two], built_in())
    write(one)
    with pytest.raises(DatasetError, match="There is no sentence in"):
        dataset.read_sets([one], built_in())


def test_label_outside_the_own_taxonomy_is_reported_with_its_line(tmp_path: Path):
    (tmp_path / "taxonomy.json").write_text(OWN.as_json())
    own = replace(
        settings(tmp_path, real=[row("Due.", "rush"), row("Slow.", "schedule-delay")]),
        taxonomy=str(tmp_path / "taxonomy.json"),
    )
    with pytest.raises(DatasetError, match=r"real.jsonl, line 2: 'schedule-delay'.*\[data\]"):
        load_dataset(own)


def test_dataset_with_an_own_taxonomy_has_its_columns(tmp_path: Path):
    (tmp_path / "taxonomy.json").write_text(OWN.as_json())
    feedback = [row("Late.", "defects", status="agreed"), row("Due.", "rush", status="agreed")]
    own = replace(settings(tmp_path, feedback=feedback), taxonomy=str(tmp_path / "taxonomy.json"))
    loaded = load_dataset(own)
    assert loaded.taxonomy == OWN
    assert dataset.targets(loaded.train, loaded.taxonomy).tolist() == [[0, 0, 1, 0]]
    assert loaded.dropped == {"feedback with a risk type of another taxonomy": 1}


def test_missing_taxonomy_is_reported(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"nowhere.json.*\[data\]"):
        load_dataset(replace(settings(tmp_path, real=[row("Due.")]), taxonomy="nowhere.json"))


def settings(tmp_path: Path, **files) -> DataSettings:
    """Settings over files with the given rows, by field; dev defaults to one neutral sentence."""
    files = {"dev": [row("A sentence that nobody else has.", doc="dev")]} | files
    paths = {name: write(tmp_path / f"{name}.jsonl", *rows) for name, rows in files.items()}
    lists = {name: [path] for name, path in paths.items()}
    fields = (
        "authored",
        "real",
        "second_readings",
        "unlabelled",
        "feedback",
        "dev",
        "dev_fallback",
    )
    empty = {name: [] for name in fields}
    return DataSettings(**(empty | lists), kinds="", max_feedback_per_user=2)


def test_unlabelled_sentences_are_apart_and_share_none_with_dev(tmp_path: Path):
    extra = [{"text": "The vendor may fail", "doc": "d"}, {"text": "Kept.", "labels": ["defects"]}]
    loaded = load_dataset(
        settings(tmp_path, real=[row("A.")], unlabelled=extra, dev=[row("B.", doc="d")])
    )
    assert [(e.text, e.labels) for e in loaded.unlabelled] == [("Kept.", ())]
    assert [e.text for e in loaded.train] == ["A."]
    assert loaded.dropped == {"document of dev": 1}
    assert loaded.fingerprint != fingerprint(loaded.train, loaded.dev)


def test_sentence_or_document_of_dev_is_dropped_from_train(tmp_path: Path):
    train = [
        row("The  vendor may FAIL!", doc="a"),
        row("From a document of dev.", doc="d"),
        row("Kept.", doc="a"),
    ]
    dev = [row("the vendor may fail", doc="d")]
    loaded = load_dataset(settings(tmp_path, real=train, dev=dev))
    assert [e.text for e in loaded.train] == ["Kept."]
    assert loaded.dropped == {"document of dev": 1, "near-duplicate of dev": 1}


def test_near_duplicate_of_dev_is_dropped_from_train(tmp_path: Path):
    long = "The pumping station may flood if the inlet gate is not replaced before the autumn"
    dev = [row(long + " rains.", doc="d")]
    train = [row(long + ", says the inspector.", doc="a"), row("The gate may jam.", doc="b")]
    loaded = load_dataset(settings(tmp_path, real=train, dev=dev))
    assert [e.text for e in loaded.train] == ["The gate may jam."]


def test_second_reading_overrides_the_first(tmp_path: Path):
    real = [row("It may fail.", "outage", id="p1"), {"text": "Fine.", "id": "q1"}]
    second = [{"id": "p1", "labels": ["defects"]}, {"id": "q1", "labels": []}]
    loaded = load_dataset(settings(tmp_path, real=real, second_readings=second))
    assert [e.labels for e in loaded.train] == [("defects",), ()]


def test_a_reading_makes_an_unlabelled_sentence_train_as_a_labelled_one(tmp_path: Path):
    extra = [{"text": "It may fail.", "doc": "a"}, {"text": "Fine.", "id": "q1"}, {"text": "Kept."}]
    by_text = hashlib.sha256(b"It may fail.").hexdigest()[:16]
    second = [{"id": by_text, "labels": ["defects"]}, {"id": "q1", "labels": []}]
    loaded = load_dataset(
        settings(tmp_path, real=[row("A.")], unlabelled=extra, second_readings=second)
    )
    assert [(e.text, e.labels) for e in loaded.train] == [
        ("A.", ()),
        ("It may fail.", ("defects",)),
        ("Fine.", ()),
    ]
    assert [e.text for e in loaded.unlabelled] == ["Kept."]


def test_sentence_without_any_reading_is_reported(tmp_path: Path):
    with pytest.raises(DatasetError, match="line 1: expected"):
        load_dataset(settings(tmp_path, real=[{"text": "Fine.", "id": "q1"}]))


def test_feedback_trains_only_if_settled(tmp_path: Path):
    statuses = ["agreed", "adjudicated", "single", "disputed", "partial", None]
    rows = [row(f"Sentence {s}.", status=s, user=s) for s in statuses]
    loaded = load_dataset(settings(tmp_path, feedback=rows))
    assert [e.text for e in loaded.train] == ["Sentence agreed.", "Sentence adjudicated."]
    assert loaded.dropped["feedback disputed"] == 1


def test_feedback_of_one_user_is_capped(tmp_path: Path):
    rows = [row(f"Number {n}.", status="agreed", user="u") for n in range(5)]
    rows.insert(0, row("Another's.", status="agreed", user="v"))
    loaded = load_dataset(settings(tmp_path, feedback=rows))
    newest = ["Number 3.", "Number 4."]  # an export has the oldest first
    assert [e.text for e in loaded.train] == ["Another's.", *newest]
    assert loaded.dropped == {"feedback beyond max_feedback_per_user": 3}


@pytest.mark.parametrize(
    ("feedback", "message"),
    [([], r"holds no settled feedback\. "), ([row("One.", status="single")], "feedback single 1")],
    ids=["none at all", "none that is settled"],
)
def test_feedback_without_settled_verdicts_is_refused(tmp_path, feedback, message):
    configured = settings(tmp_path, authored=[row("Composed.")], feedback=feedback)
    with pytest.raises(DatasetError, match=message):
        dataset.check_new_sentences(configured, load_dataset(configured))


def test_real_sentences_suffice_without_settled_feedback(tmp_path: Path):
    configured = settings(tmp_path, real=[row("Real.")], feedback=[])
    dataset.check_new_sentences(configured, load_dataset(configured))


def test_feedback_that_was_not_exported_names_the_command(tmp_path: Path):
    configured = replace(settings(tmp_path), feedback=[str(tmp_path / "none.jsonl")])
    with pytest.raises(DatasetError, match=r"-m service feedback export --out .*none\.jsonl"):
        load_dataset(configured)


def test_card_counts_every_risk_type_and_quotes_no_sentence(tmp_path: Path):
    loaded = load_dataset(settings(tmp_path, real=[row("The roof may fall.", "injury", doc="a")]))
    card = dataset_card.card(dataset_card.summary(loaded))
    assert "| injury | 1 | 0 |" in card
    assert "roof" not in card


def test_fingerprint_changes_with_a_label_and_not_with_label_order():
    one, two = Example("x", ("outage", "defects"), "d"), Example("x", ("defects", "outage"), "d")
    assert dataset.fingerprint([one]) == dataset.fingerprint([two])
    assert dataset.fingerprint([one]) != dataset.fingerprint([Example("x", ("outage",), "d")])


def test_targets_follow_the_order_of_the_taxonomy():
    y = dataset.targets([Example("x", (RISK_TYPES[3],), "d"), Example("y", (), "e")], built_in())
    assert y.shape == (2, 37)
    assert y.sum() == y[0, 3] == 1.0


def test_summary_counts_and_quotes_nothing(tmp_path: Path):
    train = [row("It is late.", "schedule-delay", license="MIT")]
    loaded = dataset_card.summary(
        load_dataset(settings(tmp_path, real=train, dev=[row("It is not.")]))
    )
    assert loaded["train"]["risk_types"]["schedule-delay"] == 1
    assert loaded["train"]["licenses"] == {"MIT": 1}
    assert "It is" not in json.dumps(loaded)


def test_every_dev_set_counts_and_the_fallback_only_without_any(tmp_path: Path):
    loaded = settings(tmp_path, real=[row("Kept.")], dev_fallback=[row("Of the fallback.")])
    both = replace(loaded, dev=[*loaded.dev, *loaded.dev_fallback])
    assert [e.file for e in load_dataset(loaded).dev] == ["dev"]
    assert [e.file for e in load_dataset(both).dev] == ["dev", "dev_fallback"]
    assert [e.file for e in load_dataset(replace(loaded, dev=[])).dev] == ["dev_fallback"]


def test_fallback_never_trains_since_the_gate_may_measure_on_it(tmp_path: Path):
    real = [row("Kept."), row("Of the fallback.")]
    fallback = [row("Of the fallback.", "of-another-taxonomy")]
    loaded = load_dataset(settings(tmp_path, real=real, dev_fallback=fallback))
    assert [e.text for e in loaded.train] == ["Kept."]
