"""The pool keeps borrowed analyzers open, and closes those that nobody uses."""

import pytest

from service.errors import NotConfigured
from service.nlp.analyzers.base import Analyzer
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.document import Analysis
from service.nlp.taxonomy import built_in
from tests.support.own_taxonomy import OWN


class CountingAnalyzer(Analyzer):
    """Finds nothing and counts its closings."""

    source = "model"
    taxonomy = built_in()
    model_name = model_version = "closing"

    def __init__(self):
        self.n_closed = 0

    def analyze(self, _document, **_):
        assert not self.n_closed
        return Analysis(self.taxonomy)

    def close(self):
        self.n_closed += 1


@pytest.fixture
def three():
    return CountingAnalyzer(), CountingAnalyzer(), CountingAnalyzer()


def test_lend_after_an_exchange_gives_the_new_analyzer(three):
    analyzers = AnalyzerPool(three[0])
    with analyzers.lend() as before:
        analyzers.exchange(three[1])
        with analyzers.lend() as after:
            assert (before, after) == (three[0], three[1])


def test_exchange_back_to_the_previous_reuses_it(three):
    analyzers = AnalyzerPool(three[0])
    analyzers.exchange(three[1])
    analyzers.exchange(three[0])
    assert analyzers.default is three[0]
    assert [a.n_closed for a in three] == [0, 0, 0]


def test_exchange_twice_closes_an_unused_older_analyzer_at_once(three):
    analyzers = AnalyzerPool(three[0])
    analyzers.exchange(three[1])
    analyzers.exchange(three[2])
    assert [a.n_closed for a in three] == [1, 0, 0]


def test_exchange_twice_closes_a_used_older_analyzer_after_its_last_request(three):
    analyzers = AnalyzerPool(three[0])
    with analyzers.lend():
        with analyzers.lend():
            analyzers.exchange(three[1])
            analyzers.exchange(three[2])
        assert three[0].n_closed == 0
    assert three[0].n_closed == 1


def test_lend_after_an_error_in_the_block_returns_the_analyzer(three):
    analyzers = AnalyzerPool(three[0])
    with pytest.raises(KeyError), analyzers.lend():
        raise KeyError
    analyzers.exchange(three[1])
    analyzers.exchange(three[2])
    assert three[0].n_closed == 1


def test_close_closes_each_open_analyzer_once(three):
    analyzers = AnalyzerPool(three[0], lambda _taxonomy: three[2])
    analyzers.exchange(three[1])
    analyzers.close()
    assert [a.n_closed for a in three] == [1, 1, 1]


def test_exchange_for_another_taxonomy_opens_the_llm_again(three):
    opened = []

    def open_llm(taxonomy):
        opened.append((taxonomy, CountingAnalyzer()))
        return opened[-1][1]

    analyzers = AnalyzerPool(three[0], open_llm)
    three[2].taxonomy = OWN
    with analyzers.lend(force_llm=True) as before:
        analyzers.exchange(three[1])
        analyzers.exchange(three[2])
        assert before.n_closed == 0
    assert before.n_closed == 1
    assert [taxonomy for taxonomy, _ in opened] == [built_in(), OWN]
    assert analyzers.taxonomy == OWN


def test_lend_force_llm_without_an_llm_names_the_setting(three):
    with (
        pytest.raises(NotConfigured, match="LLM_BASE_URL"),
        AnalyzerPool(three[0]).lend(force_llm=True),
    ):
        pass
