"""Keeps the external index service like the database: pushes documents, and deletes those that are gone.

Nothing about it is stored here: each run compares what that service lists with the documents, so restarts,
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
from db.queries.index_service import IndexedDocument
from db.queries.search_index import document_text
from service.domain.current_scan import scanning
from service.domain.search.index_calls import IndexCalls
from service.domain.search.terms import Kind
from service.domain.transactions import Transactions
from service.errors import IndexerUnavailable

MAX_TEXT_CHARS = 200_000
"""Characters of a document that are pushed: the first ones."""
_MAX_PIECES = 8
_PAGE = 500
_FORMAT = 1
"""Counts the forms of an item: another number pushes all of them again."""
_log = logging.getLogger(__name__)


class IndexSync:
    """Pushes documents to the index service. Thread-safe; several processes may push the same document."""

    def __init__(self, transactions: Transactions, calls: IndexCalls, *, page: int = _PAGE) -> None:
        """`page` is the number of items that one step compares."""
        self._transactions = transactions
        self._calls = calls
        self._page = page

    def push_scanned(self, scan_id: UUID) -> None:
        """Push the document of a new scan, if it has one; `run` pushes it later if that fails."""
        document = self._transactions.read(queries.document_of_scan, scan_id)
        if document is None:
            return
        try:
            self._push(document)
        except IndexerUnavailable as error:
            _log.info("search: a document is pushed later: %s", error.message)

    def run(self) -> int:
        """Make the index service have all documents and no other; return how many items changed.

        Raises:
            IndexerUnavailable: the service failed; the next run goes on.
            DatabaseUnavailable: see Transactions.read.
        """
        n_changed, after = 0, None
        while True:
            # That service is read first: a document that another process pushes meanwhile is not deleted.
            there = self._calls.listed(after, limit=self._page)
            here = self._transactions.read(queries.documents_after, after, limit=self._page)
            ends = [page[-1].id for page in (there, here) if len(page) == self._page]
            upto = min(ends) if ends else None
            versions = {item.id: item.version for item in there if upto is None or item.id <= upto}
            wanted = [document for document in here if upto is None or document.id <= upto]
            n_changed += self._reconcile(wanted, versions)
            if upto is None:
                return n_changed
            after = upto

    def _reconcile(self, wanted: list[IndexedDocument], versions: dict[UUID, str]) -> int:
        gone = versions.keys() - {document.id for document in wanted}
        for item_id in gone:
            self._calls.delete(item_id)
        changed = [d for d in wanted if versions.get(d.id) != _version(d)]
        return len(gone) + sum(self._push(document) for document in changed)

    def _push(self, document: IndexedDocument) -> bool:
        text = self._transactions.read(_text, document.id)
        with scanning(None, document.owner_id):  # the audit event of the call names the owner
            is_taken = self._calls.put(document.id, _item(document, text))
        if not is_taken:
            _log.warning("search: the index service refuses document %s", document.id)
        return is_taken


def _text(session: Session, document_id: UUID) -> str:
    _, pieces = document_text(session, document_id, max_pieces=_MAX_PIECES)
    return "".join(pieces)[:MAX_TEXT_CHARS]


def _item(document: IndexedDocument, text: str) -> dict[str, Any]:
    return {
        "kind": Kind.DOCUMENT.value,
        "title": document.name,
        "text": text,
        "owner": str(document.owner_id),
        "teams": [str(team_id) for team_id in document.team_ids],
        "version": _version(document),
    }


def _version(document: IndexedDocument) -> str:
    """Return what differs if the item differs; the text of a document never changes while it is stored."""
    teams = [str(team_id) for team_id in document.team_ids]
    facts = [_FORMAT, document.name, str(document.owner_id), teams, document.text_stored]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
