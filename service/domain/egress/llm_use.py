"""Who may use the LLM, and how many tokens a day: counted in the database, so for all processes together."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate
from db.queries import llm_usage as queries
from db.tables import User
from service.config.settings import Config
from service.domain.current_scan import current_scan
from service.domain.transactions import Transactions
from service.errors import Forbidden, LlmBudgetUsed, RiskscanError, TooLarge
from service.nlp.analyzers.llm_budget import LlmBudget, Reservation

_NO_ACCOUNT = (
    "force_llm needs an account here, since LLM_ROLES or LLM_DAILY_TOKENS is set. Send a token."
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Usage:
    """A user's tokens of the day (UTC); `limit` 0 means no limit."""

    is_allowed: bool
    day: date
    used: int
    limit: int

    @property
    def remaining(self) -> int | None:
        """Tokens that are left; None without a limit."""
        return max(0, self.limit - self.used) if self.limit else None


class LlmUse(LlmBudget):
    """Admits requests to the LLM by the role and the budget of the current scan's user.

    Commands of the operator have no user and no limit.
    """

    def __init__(self, config: Config, transactions: Callable[[], Transactions]) -> None:
        """`transactions` is called with the first request of an account: a command opens no database."""
        self._transactions = transactions
        self._is_on = config.llm == "on" and bool(config.llm_base_url or config.ai_service_url)
        self._roles = frozenset(config.llm_roles)
        self._limit = config.llm_daily_tokens

    def usage(self, user: User) -> Usage:
        """Return what a user has used today."""
        day = _today()
        used = self._transactions().read(queries.used_tokens, user.id, day)
        return Usage(self._is_on and self._may(user.role), day, used, self._limit)

    def check_document(self, n_tokens: int) -> None:
        """Refuse a document that no day's tokens suffice for: it would be started anew each day.

        Raises:
            Forbidden: as `reserve`.
            TooLarge: it needs more than LLM_DAILY_TOKENS.
        """
        if current_scan() is None or not self._limit or n_tokens <= self._limit:
            return
        self.reserve(0)  # an account that may not use the LLM gets that answer
        raise TooLarge(
            f"This document needs about {n_tokens:,} LLM tokens; {self._limit:,} a day are allowed "
            "(LLM_DAILY_TOKENS). Split it, or scan it without force_llm."
        )

    def reserve(self, n_tokens: int) -> Reservation:
        """Take tokens of the current scan's user; the first of a day create a row.

        Raises:
            Forbidden: the role does not allow it, or there is no account to count.
            LlmBudgetUsed: LLM_DAILY_TOKENS are used up.
            DatabaseUnavailable: see Transactions.run.
        """
        scan = current_scan()
        if scan is None or not (self._roles or self._limit):
            return Reservation(n_tokens)
        if scan.user_id is None:
            raise Forbidden(_NO_ACCOUNT)
        try:
            day = self._transactions().run(self._take, scan.user_id, n_tokens)
        except IntegrityError as error:
            if not is_duplicate(error):
                raise
            day = self._transactions().run(self._take, scan.user_id, n_tokens)
        return Reservation(n_tokens, day if self._limit else None)

    def settle(self, reserved: Reservation, used: int) -> None:
        """Correct a reservation on its day; if the database is unavailable, it stays as it is."""
        scan, day, more = current_scan(), reserved.day, used - reserved.n_tokens
        if scan is None or scan.user_id is None or day is None or not more:
            return
        try:
            self._transactions().run(queries.change_tokens, scan.user_id, day, more)
        except RiskscanError as error:
            _log.warning("a reservation of LLM tokens stays uncorrected: %s", error.message)

    def _may(self, role: str) -> bool:
        return not self._roles or role in self._roles

    def _take(self, session: Session, user_id: UUID, n_tokens: int) -> date:
        """Add the tokens to those of today, and return the day."""
        user = session.get(User, user_id)
        if user is None or not self._may(user.role):
            raise Forbidden(
                "Your role does not allow force_llm. These roles do (LLM_ROLES): "
                f"{', '.join(sorted(self._roles))}. Without it the model answers."
            )
        day = _today()
        if (
            self._limit
            and n_tokens
            and not queries.add_tokens(session, user_id, day, n_tokens, limit=self._limit)
        ):
            raise LlmBudgetUsed(
                f"Your {self._limit:,} LLM tokens of the day (LLM_DAILY_TOKENS) do not suffice for this "
                "scan. Wait for the next day (UTC), or scan without force_llm.",
                retry_after_s=_seconds_left(day),
            )
        return day


def _today() -> date:
    return datetime.now(UTC).date()


def _seconds_left(day: date) -> int:
    ends = datetime.combine(day + timedelta(days=1), time(), UTC)
    return max(1, int((ends - datetime.now(UTC)).total_seconds()))
