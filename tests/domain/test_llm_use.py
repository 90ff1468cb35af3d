"""Tokens of the LLM: counted on the day on which they were reserved."""

from datetime import date

import pytest

from db.queries.llm_usage import used_tokens
from service.domain.current_scan import scanning
from service.domain.egress import llm_use
from service.domain.egress.llm_use import LlmUse

EVE, DAY = date(2026, 12, 31), date(2027, 1, 1)


@pytest.fixture
def budget(config, transactions):
    limited = config.model_copy(update={"llm_daily_tokens": 1000})
    return LlmUse(limited, lambda: transactions)


def test_request_over_midnight_counts_on_the_day_of_its_reservation(
    budget, transactions, user, monkeypatch
):
    with scanning(None, user.id):
        monkeypatch.setattr(llm_use, "_today", lambda: EVE)
        reserved = budget.reserve(500)
        monkeypatch.setattr(llm_use, "_today", lambda: DAY)
        later = budget.reserve(100)
        budget.settle(reserved, 30)
        budget.settle(later, 110)
    used = [transactions.read(used_tokens, user.id, day) for day in (EVE, DAY)]
    assert used == [30, 110]
