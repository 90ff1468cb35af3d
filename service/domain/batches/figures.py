"""The figures of the queue for the metrics, read from the database now and then."""

from __future__ import annotations

from collections.abc import Mapping

from db.queries import batches as queries
from service.domain.transactions import Transactions

EVERY_S = 10.0
"""Seconds between two readings."""


class QueueFigures:
    """The items of all users by state, and how long the oldest one has waited, as of the last reading."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._figures = queries.QueueFigures({}, 0.0)

    def refresh(self) -> int:
        """Read the figures; return 0, since nothing changes."""
        self._figures = self._transactions.read(queries.queue_figures)
        return 0

    def items(self) -> Mapping[tuple[str, ...], float]:
        """Return the number of items by state, as a gauge's labels."""
        return {(state,): float(n) for state, n in self._figures.items.items()}

    def oldest_waiting_s(self) -> float:
        """Return the seconds since the oldest batch with a waiting item was sent."""
        return self._figures.oldest_waiting_s
