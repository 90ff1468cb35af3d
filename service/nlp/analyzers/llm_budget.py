"""The interface by which the LLM analyzer asks whether it may send a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Reservation:
    """Tokens taken before a request, and the UTC day that they count on; None if nothing counts them."""

    n_tokens: int
    day: date | None = None


class LlmBudget:
    """Admits every request. A subclass admits those of accounts that may use the LLM, within their budget."""

    def check_document(self, n_tokens: int) -> None:
        """Refuse a document of the current scan before its first request; `n_tokens` is an estimate of all.

        Raises:
            Forbidden: the account may not use the LLM.
            TooLarge: the tokens of a whole day do not suffice, so waiting does not help.
        """

    def reserve(self, n_tokens: int) -> Reservation:
        """Take tokens before a request for the current scan; `n_tokens` is an estimate.

        Raises:
            Forbidden: the account may not use the LLM.
            LlmBudgetUsed: it has used its tokens of the day.
        """
        return Reservation(n_tokens)

    def settle(self, reserved: Reservation, used: int) -> None:
        """Replace a reservation by what the request has used; never raises."""


UNLIMITED = LlmBudget()
