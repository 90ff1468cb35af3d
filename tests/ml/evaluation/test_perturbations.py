"""Perturbations change only a sentence's form; the report counts the decisions they flip."""

import pytest

from ml.baselines.keywords import KeywordAnalyzer
from ml.corpus.dataset import Example
from ml.evaluation import perturbations
from ml.evaluation.scoring import analyze_examples
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.taxonomy import built_in
from tests.nlp.conftest import MODEL_DIR

RISK_TYPES = built_in().risk_types

RISK = "The supplier may go out of business before the rollout is finished."


def changes(analyzer, examples):
    return perturbations.invariance(analyzer, examples, analyze_examples(analyzer, examples))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It failed.", "It failed"),
        ("It failed", "It failed."),
        ("It failed!", "It failed!"),
        ("Risks:", "Risks:"),
    ],
)
def test_toggle_full_stop(text, expected):
    assert perturbations.toggle_full_stop(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Only Maria Lopez knows it.", "Only Tamsin Okafor knows it."),
        ("Dr. Smith left.", "Tamsin Okafor left."),
        ("Acme Steel Inc sued us.", "Brightwater Holdings Ltd sued us."),
        ("Mark the box, then test it.", "Mark the box, then test it."),
        ("the company failed", "the company failed"),
    ],
)
def test_swap_names_changes_only_names(text, expected):
    assert perturbations.swap_names(text) == expected


def test_perturbations_keep_every_word():
    for name, perturb in perturbations.PERTURBATIONS.items():
        if "names" not in name:
            words = "".join(perturb(RISK).casefold().split()).lstrip("-(a)1.").rstrip(".")
            assert words == "".join(RISK.casefold().split()).rstrip("."), name


def test_invariance_of_case_insensitive_rules_is_complete():
    examples = [Example(RISK, (), "d"), Example("Lunch is at noon", (), "d")]
    found = changes(KeywordAnalyzer.shipped(built_in()), examples)
    assert found["upper case"] == {
        "sentences": 2,
        "risk_changed": 0.0,
        "types_changed": 0.0,
        "score_change": None,
    }
    assert found["names of persons and companies"]["sentences"] == 0


def test_invariance_counts_a_flipped_decision():
    patterns = {**{r: ["(?!)"] for r in RISK_TYPES}, "outage": [r"^server down$"]}
    rules = KeywordAnalyzer(patterns, built_in())
    found = changes(rules, [Example("server down", ("outage",), "d")])
    assert found['bullet "- "']["risk_changed"] == 1.0
    assert found["upper case"]["types_changed"] == 0.0


def test_invariance_of_the_model_measures_the_score_change():
    analyzer = LocalAnalyzer.open(MODEL_DIR, device="cpu", n_threads=1)
    found = changes(analyzer, [Example("Only Peter Miller knows the password.", (), "d")])
    analyzer.close()
    assert found["lower case"]["score_change"] == pytest.approx(0.0, abs=1e-6)
    assert found['bullet "1. "']["score_change"] == pytest.approx(0.0, abs=1e-6)
    assert 0 < found["names of persons and companies"]["score_change"] < 1
