"""F1 by domain and length, and the confusion of categories, on arrays small enough to check by hand."""

import numpy as np

from ml.corpus.dataset import Example
from ml.evaluation import markdown_report
from ml.evaluation.slices import confusion, length_bucket, slices
from service.nlp.taxonomy import built_in

CATEGORIES = built_in().category_keys
RISK_TYPES = built_in().risk_types


def hits(*rows):
    return np.array([[r in row for r in RISK_TYPES] for row in rows])


def test_length_bucket_includes_its_lower_edge():
    words = [length_bucket(" ".join(["word"] * n)) for n in (1, 9, 10, 19, 20, 39, 40, 400)]
    assert words == [*["under 10"] * 2, *["10 to 19"] * 2, *["20 to 39"] * 2, *["40 or more"] * 2]


def test_slices_measure_each_domain_alone_and_sum_to_all():
    examples = [
        Example("a short one", ("outage",), "d1", domain="energy"),
        Example("another short one", ("market",), "d1", domain="energy"),
        Example("a third", ("market",), "d2", domain="finance"),
        Example("a fourth", (), "d3"),
    ]
    y = hits({"outage"}, {"market"}, {"market"}, set()).astype(np.float32)
    found = slices(hits({"outage"}, set(), {"outage"}, set()), y, examples, taxonomy=built_in())
    assert list(found["domain"]) == ["energy", "finance", "unknown"]
    assert found["domain"]["energy"]["risk_f1"]["value"] == 2 / 3
    assert found["domain"]["finance"]["type_f1"]["value"] == 0.0
    assert found["domain"]["energy"]["documents"] == 1
    assert (found["domain"]["energy"]["with_risk"], found["domain"]["energy"]["found"]) == (2, 1)
    assert found["length"]["under 10"]["sentences"] == 4


def test_slice_without_a_risk_has_no_f1_but_false_alarms():
    examples = [Example("a short one", (), "d1"), Example("another", (), "d2")]
    found = slices(
        hits({"outage"}, set()),
        np.zeros((2, len(RISK_TYPES)), np.float32),
        examples,
        taxonomy=built_in(),
    )
    part = found["domain"]["unknown"]
    assert (part["with_risk"], part["found"]) == (0, 1)
    assert part["risk_f1"] is None
    lines = markdown_report.slices({"slices": found}).splitlines()
    assert lines[2] == "| unknown | 2 | 2 | 0 | 1 | - | - | - |"


def test_slice_with_risks_of_four_documents_has_no_interval():
    examples = [Example(f"sentence {n}", (), f"d{n}") for n in range(10)]
    y = hits(*[{"outage"}] * 4, *[set()] * 6)
    found = slices(y, y.astype(np.float32), examples, taxonomy=built_in())
    assert found["domain"]["unknown"]["type_f1"] == {"value": 1.0, "low": None, "high": None}
    assert "| 1.000 | 1.000 | 1.000 |" in markdown_report.slices({"slices": found})


def test_slice_with_risks_of_five_documents_has_one():
    examples = [Example(f"sentence {n}", (), f"d{n}") for n in range(10)]
    y = hits(*[{"outage"}] * 5, *[set()] * 5)
    found = hits(*[{"outage"}] * 3, *[set()] * 7)
    part = slices(found, y.astype(np.float32), examples, taxonomy=built_in())["domain"]["unknown"][
        "risk_f1"
    ]
    assert part["low"] < part["value"] == 0.75 < part["high"]


def test_confusion_counts_the_highest_scored_hit_and_none():
    truth = hits({"outage"}, {"market"}, {"market", "outage"}, set(), {"injury"})
    scores = np.where(truth, 0.5, 0.1).astype(np.float32)
    found = hits({"outage"}, {"outage"}, {"outage", "market"}, {"injury"}, set())
    scores[2, RISK_TYPES.index("market")] = 0.9
    table = confusion(found, truth.astype(np.float32), scores, taxonomy=built_in())
    cell = {
        (table["labels"][r], table["labels"][c]): n
        for r, row in enumerate(table["counts"])
        for c, n in enumerate(row)
        if n
    }
    assert table["labels"] == [*CATEGORIES, "none"]
    assert cell == {
        ("operations", "operations"): 1,
        ("external", "operations"): 1,
        ("external", "external"): 1,
        ("none", "safety"): 1,
        ("safety", "none"): 1,
    }


def test_confusion_without_scores_takes_the_first_type():
    found = hits({"market", "outage"})
    table = confusion(found, hits(set()).astype(np.float32), None, taxonomy=built_in())
    assert table["counts"][-1][CATEGORIES.index("operations")] == 1
