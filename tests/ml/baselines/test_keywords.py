"""The baseline `keywords`: plain phrasings are found, few others."""

from ml.baselines.keywords import KeywordAnalyzer
from ml.corpus.dataset import read_examples, targets
from ml.evaluation.scoring import analyze_examples, document_from
from service.config.settings import ROOT
from service.nlp.taxonomy import built_in

COMPOSED = read_examples(ROOT / "ml/data/authored-a.jsonl", built_in())


def test_keywords_find_plain_phrasings_in_a_document():
    document = document_from(
        ["Project has tight budget and aggressive deadline", "Lunch is served at noon."]
    )
    found = KeywordAnalyzer.shipped(built_in()).analyze(document).findings
    assert [(f.risk_type, f.start) for f in found] == [
        ("aggressive-deadline", 0),
        ("tight-budget", 0),
    ]
    assert all(f.score is None for f in found)


def test_keywords_precision_on_other_sentences_exceeds_half():
    """These sentences avoid the obvious words, so most are missed; a bad baseline would also be wrong."""
    results = analyze_examples(KeywordAnalyzer.shipped(built_in()), COMPOSED[:360])
    found, true = results.hits["balanced"], targets(COMPOSED[:360], built_in()) > 0
    assert results.scores is None
    assert (found & true).sum() / found.sum() > 0.5
    assert found.sum() > 20
