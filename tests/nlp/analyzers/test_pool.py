"""An analyzer that is lent stays open; it closes when it is neither lent nor needed any more."""

import pytest

from service.errors import NotConfigured
from service.nlp.analyzers.base import Analyzer
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.document import Analysis


class Closing(Analyzer):
    """Finds nothing; knows whether it was closed."""

    source = "model"
    model_name = model_version = "closing"

    def __init__(self):
        self.n_closed = 0

    def analyze(self, _document, **_):
        assert not self.n_closed
        return Analysis()

    def close(self):
        self.n_closed += 1


@pytest.fixture
def three():
    return Closing(), Closing(), Closing()


def test_lend_gives_the_analyzer_that_serves_now(three):
    analyzers = AnalyzerPool(three[0])
    with analyzers.lend() as before:
        analyzers.exchange(three[1])
        with analyzers.lend() as after:
            assert (before, after) == (three[0], three[1])


def test_previous_stays_open_and_comes_back(three):
    analyzers = AnalyzerPool(three[0])
    analyzers.exchange(three[1])
    analyzers.exchange(three[0])
    assert analyzers.default is three[0]
    assert [a.n_closed for a in three] == [0, 0, 0]


def test_older_one_that_nobody_uses_closes_at_once(three):
    analyzers = AnalyzerPool(three[0])
    analyzers.exchange(three[1])
    analyzers.exchange(three[2])
    assert [a.n_closed for a in three] == [1, 0, 0]


def test_older_one_in_use_closes_with_its_last_request(three):
    analyzers = AnalyzerPool(three[0])
    with analyzers.lend():
        with analyzers.lend():
            analyzers.exchange(three[1])
            analyzers.exchange(three[2])
        assert three[0].n_closed == 0
    assert three[0].n_closed == 1


def test_request_that_fails_gives_its_analyzer_back(three):
    analyzers = AnalyzerPool(three[0])
    with pytest.raises(KeyError), analyzers.lend():
        raise KeyError
    analyzers.exchange(three[1])
    analyzers.exchange(three[2])
    assert three[0].n_closed == 1


def test_close_closes_all_that_are_open_once(three):
    analyzers = AnalyzerPool(three[0], llm=three[2])
    analyzers.exchange(three[1])
    analyzers.close()
    assert [a.n_closed for a in three] == [1, 1, 1]


def test_force_llm_without_one_says_what_to_set(three):
    with (
        pytest.raises(NotConfigured, match="LLM_BASE_URL"),
        AnalyzerPool(three[0]).lend(force_llm=True),
    ):
        pass
