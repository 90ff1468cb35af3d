"""The frozen sets: their counts, and that nothing trains or is calibrated on them."""

import json
from collections import Counter

import pytest

from ml.corpus.dataset import normalized
from ml.corpus.near_duplicates import near_duplicates
from ml.settings import load
from service.config.settings import ROOT
from service.nlp.taxonomy import built_in

DATA = ROOT / "ml/data"
PARALLEL = ("english-parallel", "german", "french", "spanish")
FROZEN = ("plain", *PARALLEL)
MISSES = {"denied", "closed", "control", "measure", "duty", "plan", "question", "topic"}
OTHERS = sorted(path for path in DATA.glob("*.jsonl") if path.stem not in FROZEN)
each_set = pytest.mark.parametrize("name", FROZEN)


def rows(name):
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def other_texts():
    lines = [line for path in OTHERS for line in path.read_text("utf-8").splitlines()]
    return [row["text"] for row in map(json.loads, lines) if "text" in row]


def test_no_frozen_sentence_is_in_another_file_or_near_one(other_texts):
    own = [row["text"] for name in FROZEN for row in rows(name)]
    assert not {normalized(t) for t in own} & {normalized(t) for t in other_texts}
    assert {own[k]: other_texts[n] for k, n in near_duplicates(own, other_texts).items()} == {}


def test_near_duplicate_of_a_frozen_sentence_would_be_found(other_texts):
    changed = [f"{t} Today." for t in other_texts[:50] if len(t.split()) > 9]
    assert len(near_duplicates(changed, other_texts)) == len(changed) > 10


@pytest.mark.parametrize("path", sorted((ROOT / "ml/configs").glob("*.toml")), ids=lambda p: p.stem)
def test_no_configuration_names_a_frozen_set(path):
    data = load(path).data
    named = [*data.authored, *data.real, *data.feedback, *data.dev, *data.dev_fallback]
    assert not {f"ml/data/{name}.jsonl" for name in FROZEN} & set(named)


def test_plain_set_has_five_risks_and_seven_near_misses_of_each_type():
    found = rows("plain")
    risks = Counter(label for row in found for label in row["labels"])
    near = Counter(row["near"] for row in found if not row["labels"])
    assert len(found) == 444
    assert all(risks[r] >= 5 and near[r] == 7 for r in built_in().risk_types)


def test_plain_sentences_have_4_to_20_words():
    lengths = {row["text"]: len(row["text"].lstrip("-• ").split()) for row in rows("plain")}
    assert {text: n for text, n in lengths.items() if not 4 <= n <= 20} == {}


@each_set
def test_each_sentence_states_a_risk_or_names_its_near_miss(name):
    for row in rows(name):
        miss = row.get("near") in built_in().risk_types and row.get("kind") in MISSES
        assert set(row["labels"]) <= set(built_in().risk_types)
        assert bool(row["labels"]) != miss
        assert row["license"] == "CC0"


@each_set
def test_no_sentence_occurs_twice(name):
    assert Counter(normalized(row["text"]) for row in rows(name)).most_common(1)[0][1] == 1


@pytest.mark.parametrize("name", PARALLEL)
def test_parallel_sets_have_the_same_labels_under_the_same_number(name):
    def without_text(row):
        return {**row, "text": "", "id": row["id"][-3:]}

    assert [*map(without_text, rows(name))] == [*map(without_text, rows("english-parallel"))]
    assert (len(rows(name)), sum(bool(row["labels"]) for row in rows(name))) == (200, 98)


def test_parallel_sets_have_every_risk_type_twice():
    risks = Counter(label for row in rows("german") for label in row["labels"])
    assert min(risks[r] for r in built_in().risk_types) >= 2
