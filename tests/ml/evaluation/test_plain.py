"""The figures of plain sentences, with rules whose every decision is known."""

import pytest

from ml.baselines.keywords import KeywordAnalyzer
from ml.corpus.dataset import Example
from ml.evaluation import plain
from ml.evaluation.plain_report import plain_sentences
from service.nlp.taxonomy import built_in

RISK_TYPES = built_in().risk_types

EXAMPLES = [
    Example("The server is down.", ("outage",), "a"),
    Example("Oil leaks into the lake", ("environmental",), "b"),
    Example("The server is down for a minute each Sunday.", (), "c", kind="plan"),
    Example("Is the server old?", (), "d", kind="question"),
]


@pytest.fixture(scope="module")
def found():
    never = {r: ["(?!)"] for r in RISK_TYPES}
    patterns = {**never, "outage": [r"^the server is down"]}
    return plain.plain_figures(KeywordAnalyzer(patterns, built_in()), EXAMPLES)


def test_recall_and_false_alarms_by_kind(found):
    assert (found["recall"], found["type_recall"], found["false_alarms"]) == (0.5, 0.5, 0.5)
    assert found["by_kind"] == {
        "plan": {"sentences": 1, "false_alarms": 1.0},
        "question": {"sentences": 1, "false_alarms": 0.0},
    }


def test_unchanged_counts_altered_sentences_only(found):
    assert found["unchanged"]["upper case"] == {"sentences": 4, "share": 1.0}
    assert found["unchanged"]["without the final full stop"] == {"sentences": 2, "share": 1.0}
    assert found["unchanged"]['bullet "- "'] == {"sentences": 4, "share": 0.5}
    assert found["unchanged"]["in every form"] == {"sentences": 4, "share": 0.5}


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("without the final full stop", "It fails.", "It fails"),
        ("with a final full stop", "It fails", "It fails."),
        ("with a final full stop", "Why?", "Why?"),
        ('bullet "1. "', "- It fails.", "1. It fails."),
        ("semicolon at the end", "It fails.", "It fails;"),
        ("white space doubled", "It fails.", "It  fails."),
    ],
)
def test_forms(form, text, expected):
    assert plain.FORMS[form](text) == expected


def test_form_that_alters_nothing_has_no_share():
    found = plain.plain_figures(KeywordAnalyzer.shipped(built_in()), EXAMPLES[3:])
    assert found["unchanged"]["with a final full stop"] == {"sentences": 0, "share": None}
    assert "| verdict unchanged, with a final full stop | - |" in plain_sentences({"x": found})


def test_report_has_a_column_for_each_set(found):
    lines = plain_sentences({"plain": found, "german": {**found, "by_kind": {}}}).splitlines()
    assert "|  | plain | german |" in lines
    assert "| false alarms, plan | 100.0 % | - |" in lines
    assert plain_sentences({}) == ""
