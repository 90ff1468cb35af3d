"""Keeps the external index service like the database: pushes documents and lessons, deletes what is gone.

Nothing about it is stored here: each run compares what that service lists with the database, so restarts,
restores and several processes need no care.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import index_service as queries
from db.queries.index_service import IndexedItem
from db.queries.lessons import get_lesson
from db.queries.search_index import document_text
from service.domain.current_scan import scanning
from service.domain.markdown import plain_blocks
from service.domain.search.index_calls import IndexCalls
from service.domain.transactions import Transactions
from service.errors import IndexerUnavailable

MAX_TEXT_CHARS = 200_000
"""Characters of a text that are pushed: the first ones."""
_MAX_PIECES = 8
_PAGE = 500
_FORMAT = 2
"""Counts the forms of an item: another number pushes all of them again."""
_log = logging.getLogger(__name__)


class IndexSync:
    """Pushes documents and lessons to the index service. Thread-safe; several processes may push the same."""

    def __init__(self, transactions: Transactions, calls: IndexCalls, *, page: int = _PAGE) -> None:
        """`page` is the number of items that one step compares."""
        self._transactions = transactions
        self._calls = calls
        self._page = page
        self._stopped_at: UUID | None = None

    def push_scanned(self, scan_id: UUID) -> None:
        """Push the document of a new scan, if it has one; `run` pushes it later if that fails."""
        self._push_new(self._transactions.read(queries.document_of_scan, scan_id))

    def push_lesson(self, lesson_id: UUID) -> None:
        """Push a new or changed lesson if its course is active; `run` pushes it later if that fails."""
        self._push_new(self._transactions.read(queries.active_lesson, lesson_id))

    def run(self) -> int:
        """Make the index service have all documents, the lessons of active courses, and no other item.

        Returns how many items changed. If the service fails on an item, the run goes on with the others until
        the circuit breaker opens. The next run goes on behind the last item then, so that no number of items
        on which the service always fails keeps others from it; the one after that begins anew.

        Raises:
            IndexerUnavailable: the service does not list its items, or the circuit breaker opened.
            DatabaseUnavailable: see Transactions.read.
        """
        n_changed, failures = 0, list[IndexerUnavailable]()
        after, self._stopped_at = self._stopped_at, None
        while True:
            # That service is read first: an item that another process pushes meanwhile is not deleted.
            there = self._calls.listed(after, limit=self._page)
            here = self._transactions.read(queries.items_after, after, limit=self._page)
            ends = [page[-1].id for page in (there, here) if len(page) == self._page]
            upto = min(ends) if ends else None
            versions = {item.id: item.version for item in there if upto is None or item.id <= upto}
            wanted = [item for item in here if upto is None or item.id <= upto]
            n_changed += self._reconcile(wanted, versions, failures)
            if upto is None:
                break
            after = upto
        if failures:
            failed = "search: the index service failed on %d items, which the next comparison tries again: %s"
            _log.warning(failed, len(failures), failures[0].message)
        return n_changed

    def _reconcile(
        self,
        wanted: list[IndexedItem],
        versions: dict[UUID, str],
        failures: list[IndexerUnavailable],
    ) -> int:
        """Push and delete in the order of ids; return how many items changed, and add the failures."""
        changed = {item.id: item for item in wanted if versions.get(item.id) != _version(item)}
        gone = versions.keys() - {item.id for item in wanted}
        n_changed = 0
        for item_id in sorted(gone | changed.keys()):
            try:
                n_changed += self._update(item_id, changed.get(item_id))
            except IndexerUnavailable as error:
                _log.info("search: the index service fails on %s: %s", item_id, error.message)
                failures.append(error)
                if self._calls.is_circuit_open:
                    self._stopped_at = item_id
                    raise
        return n_changed

    def _update(self, item_id: UUID, item: IndexedItem | None) -> bool:
        """Push an item, or delete what is gone; return whether the service took it."""
        if item is not None:
            return self._push(item)
        self._calls.delete(item_id)
        return True

    def _push_new(self, item: IndexedItem | None) -> None:
        if item is None:
            return
        try:
            self._push(item)
        except IndexerUnavailable as error:
            _log.info("search: a %s is pushed later: %s", item.kind, error.message)

    def _push(self, item: IndexedItem) -> bool:
        text = self._transactions.read(_text, item)
        with scanning(None, item.owner_id):  # the audit event of the call names the owner
            is_taken = self._calls.put(item.id, _sent(item, text))
        if not is_taken:
            _log.warning("search: the index service refuses %s %s", item.kind, item.id)
        return is_taken


def _text(session: Session, item: IndexedItem) -> str:
    if item.kind == "lesson":
        lesson = get_lesson(session, item.id)
        pieces = [] if lesson is None else ["\n".join(plain_blocks(lesson.source))]
    else:
        _, pieces = document_text(session, item.id, max_pieces=_MAX_PIECES)
    return "".join(pieces)[:MAX_TEXT_CHARS]


def _sent(item: IndexedItem, text: str) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "title": item.title,
        "text": text,
        "owner": None if item.owner_id is None else str(item.owner_id),
        "teams": [str(team_id) for team_id in item.team_ids],
        "everyone": item.owner_id is None,
        "version": _version(item),
    }


def _version(item: IndexedItem) -> str:
    """Return what differs if the item differs."""
    teams = [str(team_id) for team_id in item.team_ids]
    facts = [_FORMAT, item.kind, item.title, str(item.owner_id), teams, item.text_state]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
