"""Use cases: search findings, documents and lessons by words and meaning; find findings similar to one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import findings as finding_queries
from db.queries import index_service as index_queries
from db.queries import search as queries
from db.queries.documents import newest_scans
from db.queries.places import Place
from db.queries.reach import Reach
from db.queries.scans import get_scan
from db.queries.search import Known
from service.config.cpus import all_cpus
from service.domain.current_scan import scanning
from service.domain.search.candidates import CANDIDATES, found_by_words, key_of, newest_of
from service.domain.search.fusion import fused
from service.domain.search.index_calls import IndexCalls
from service.domain.search.lesson_search import LessonSearch, lessons_in_reach
from service.domain.search.listing import ListedFinding
from service.domain.search.matrix import Vectors
from service.domain.search.terms import Kind, stems, wanted_terms
from service.domain.search.values import (
    Answer,
    FoundDocument,
    Hit,
    IndexService,
    Meaning,
    Meant,
    Question,
    Reader,
    Way,
)
from service.domain.search.vector_cache import VectorCache
from service.domain.stored_labels import check_labels
from service.domain.transactions import Transactions
from service.errors import Fault, IndexerUnavailable, InvalidRequest, NotFound
from service.nlp.analyzers.base import SentenceEncoder
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.taxonomy import Taxonomy

_log = logging.getLogger(__name__)

SHARED_SCANS = 5_000
SHARED_FINDINGS = 100_000
"""Newest scans of others, and findings of these, that are searched by meaning: 40 MB with 384 dimensions."""
MAX_OWNERS = 100
"""If more people share their scans, their rows are found among everyone's."""


@dataclass(frozen=True, slots=True)
class _Near:
    """The nearest findings with their similarity, and how far the meaning was searched."""

    similarities: Mapping[Place, float]
    known: Mapping[Place, Known]
    meaning: Meaning


_NOWHERE = _Near({}, {}, Meaning.NONE)


class Search:
    """Searches what a user may read."""

    def __init__(
        self,
        transactions: Transactions,
        analyzers: Callable[[], AnalyzerPool],
        cache: VectorCache,
        index: IndexCalls | None = None,
    ) -> None:
        """`index` asks the index service, if there is one."""
        self._transactions = transactions
        self._index = index
        self._analyzers = analyzers
        self._cache = cache
        self._lessons = LessonSearch()

    def search(self, reader: Reader, question: Question, *, taxonomy: Taxonomy) -> Answer:
        """Return the best findings, documents and lessons in reach for a text in any words.

        Raises:
            InvalidRequest: the text has no word to search for, or no taxonomy has the category.
            DatabaseUnavailable: see Transactions.read.
        """
        if not stems(question.text):
            fault = Fault("q", "Send a word to search for, not only such as 'the' and 'of'.")
            raise InvalidRequest(fault.message, faults=(fault,))
        meant = self._meant(question.text)
        indexed, index_service = self._indexed(reader, question)
        with all_cpus():  # SQLite searches in this thread
            answer = self._transactions.read(
                self._search, reader, question, meant, indexed, taxonomy=taxonomy
            )
        return replace(answer, index_service=index_service)

    def similar(self, reader: Reader, place: Place, *, limit: int) -> Answer:
        """Return the findings in reach that are nearest to a finding, which is not among them.

        Raises:
            NotFound: the user may not read the scan, or it has no such finding.
        """
        sentence = self._transactions.read(_sentence, reader.viewer.readable, place)
        meant = self._meant(sentence)
        question = Question(sentence, frozenset({Kind.FINDING}), limit)
        with all_cpus():
            return self._transactions.read(self._nearest, reader, question, meant, place)

    def _indexed(self, reader: Reader, question: Question) -> tuple[list[UUID], IndexService]:
        """Return what the index service finds, best first; the reader may not read each."""
        kinds = [Kind.DOCUMENT.value] if _wants_documents(question) else []
        kinds += [Kind.LESSON.value] if Kind.LESSON in question.kinds else []
        if self._index is None or reader.user_id is None or not kinds:
            return [], IndexService.OFF
        teams: Sequence[UUID] = ()
        if reader.reach.member_id is not None or reader.reach.is_everyones:
            teams = self._transactions.read(index_queries.teams_of, reader.user_id)
        asked = {
            "q": question.text,
            "kinds": kinds,
            "reader": {"id": str(reader.user_id), "teams": [str(team_id) for team_id in teams]},
            "limit": CANDIDATES,
        }
        try:
            with scanning(None, reader.user_id):  # the audit event of the call names the reader
                return self._index.query(asked), IndexService.USED
        except IndexerUnavailable as error:
            _log.info("search: the local index answers alone: %s", error.message)
            return [], IndexService.UNAVAILABLE

    def _meant(self, text: str) -> Meant | None:
        """Return the vector of a text; None if the analyzer is no model in this process."""
        with self._analyzers().lend() as analyzer:
            encoder = analyzer.encoder
            return None if encoder is None else Meant(encoder, encoder.vectors([text])[0])

    def _search(
        self,
        session: Session,
        reader: Reader,
        question: Question,
        meant: Meant | None,
        indexed: Sequence[UUID],
        *,
        taxonomy: Taxonomy,
    ) -> Answer:
        check_labels(session, taxonomy, category=question.category, risk_type=None)
        hits: list[Hit] = []
        searched: set[Meaning] = set()
        words_occur = False
        if Kind.FINDING in question.kinds or _wants_documents(question):
            near = self._near(session, reader.reach, meant, category=question.category)
            searched.add(near.meaning)
            if Kind.FINDING in question.kinds:
                some, occur = _findings(session, reader, question, near)
                hits, words_occur = hits + some, words_occur or occur
            if _wants_documents(question):
                some, occur = _documents(session, reader.reach, question, near, indexed)
                hits, words_occur = hits + some, words_occur or occur
        if Kind.LESSON in question.kinds:
            reach = lessons_in_reach(reader, question, taxonomy)
            lessons = self._lessons.find(session, reach, question, meant, indexed)
            hits, words_occur = [*hits, *lessons.hits], words_occur or lessons.words_occur
            if lessons.meaning is not None:
                searched.add(lessons.meaning)
        hits.sort(key=lambda hit: hit.score, reverse=True)
        return Answer(hits[: question.limit], _joint(searched), words_occur=words_occur)

    def _nearest(
        self,
        session: Session,
        reader: Reader,
        question: Question,
        meant: Meant | None,
        place: Place,
    ) -> Answer:
        near = self._near(session, reader.reach, meant, category=None)
        found = near.known
        if near.meaning == Meaning.NONE:  # by words, which is less
            terms = _terms(session, Kind.FINDING, reader.reach, question.text)
            found = found_by_words(session, terms, reader.reach, category=None)
        same = {key_of(*known) for known in queries.known_at(session, [place]).items()}
        others = {p: known for p, known in found.items() if key_of(p, known) not in same}
        way = Way.WORDS if near.meaning == Meaning.NONE else Way.MEANING
        hits = _shown(session, reader, {way.value: list(others)}, question, near)
        return Answer(hits, near.meaning)

    def _near(
        self, session: Session, reach: Reach, meant: Meant | None, *, category: str | None
    ) -> _Near:
        if meant is None:
            return _NOWHERE
        n_all = queries.count_findings(session, reach)
        vectors, near = self._nearest_of(session, reach, meant, category)
        if len(vectors) > n_all or len(near.known) < len(near.similarities):
            self._drop_deleted(session, reach, meant.encoder)
            vectors, near = self._nearest_of(session, reach, meant, category)
        if not len(vectors):
            return replace(_NOWHERE, meaning=Meaning.NONE if n_all else Meaning.ALL)
        return near if len(vectors) >= n_all else replace(near, meaning=Meaning.PART)

    def _nearest_of(
        self, session: Session, reach: Reach, meant: Meant, category: str | None
    ) -> tuple[Vectors, _Near]:
        vectors = self._vectors(session, reach, meant.encoder)
        found = dict(vectors.nearest(meant.vector, limit=CANDIDATES, category=category))
        known = queries.known_at(session, list(found))
        ranked = {place: known[place] for place in found if place in known}
        return vectors, _Near(found, ranked, Meaning.ALL)

    def _drop_deleted(self, session: Session, reach: Reach, encoder: SentenceEncoder) -> None:
        if _is_cached(reach) and reach.owner_id is not None:
            self._cache.drop_deleted(session, reach.owner_id, encoder.model)

    def _vectors(self, session: Session, reach: Reach, encoder: SentenceEncoder) -> Vectors:
        if _is_cached(reach) and reach.owner_id is not None:
            return self._cache.get(session, reach.owner_id, encoder.model, encoder.size)
        return self._cache.newest(
            session,
            reach,
            encoder.model,
            encoder.size,
            n_scans=SHARED_SCANS,
            n_findings=SHARED_FINDINGS,
        )


def _findings(
    session: Session, reader: Reader, question: Question, near: _Near
) -> tuple[list[Hit], bool]:
    """Return the best findings, and whether any has a word of the question."""
    terms = _terms(session, Kind.FINDING, reader.reach, question.text)
    by_words = found_by_words(session, terms, reader.reach, category=question.category)
    newest = newest_of([*by_words, *near.known], {**near.known, **by_words})
    ranked = {
        Way.WORDS.value: [newest[place] for place in by_words],
        Way.MEANING.value: list(dict.fromkeys(newest[place] for place in near.known)),
    }
    similarities = {newest[place]: near.similarities[place] for place in near.known}
    hits = _shown(session, reader, ranked, question, replace(near, similarities=similarities))
    return hits, bool(by_words)


def _shown(
    session: Session,
    reader: Reader,
    ranked: Mapping[str, Sequence[Place]],
    question: Question,
    near: _Near,
) -> list[Hit]:
    """Return the best findings of ranked lists that are still stored and in reach."""
    limit = question.limit
    merged = fused(ranked)
    hits: list[Hit] = []
    while merged and len(hits) < limit:
        some, merged = merged[: 2 * limit], merged[2 * limit :]
        places = [place for place, _, _ in some]
        rows = finding_queries.findings_at(session, reader.reach, places)
        verdicts = finding_queries.verdicts_at(session, reader.viewer, rows)
        for place, score, ways in some:
            if row := rows.get(place):
                listed = ListedFinding(row[0], row[1], verdicts.get(place))
                similarity = near.similarities.get(place)
                hits.append(Hit(Kind.FINDING, score, ways, listed, similarity=similarity))
    return hits[:limit]


def _joint(searched: set[Meaning]) -> Meaning:
    """Return how far several kinds were searched by meaning; all, if there was nothing."""
    if len(searched) > 1:
        return Meaning.PART
    return next(iter(searched), Meaning.ALL)


def _wants_documents(question: Question) -> bool:
    return Kind.DOCUMENT in question.kinds and question.category is None


def _documents(
    session: Session, reach: Reach, question: Question, near: _Near, indexed: Sequence[UUID]
) -> tuple[list[Hit], bool]:
    """Return documents by their words, by the meaning of their nearest finding, and of the index service.

    What the index service names beyond the reach is dropped before it takes a rank. Returns also whether any
    document has a word of the question.
    """
    words = _terms(session, Kind.DOCUMENT, reach, question.text)
    by_words = queries.documents_by_words(session, words, reach, limit=CANDIDATES)
    ids = dict.fromkeys(known.document_id for known in near.known.values())
    by_meaning = [row_id for row_id in ids if row_id is not None]
    ranked: dict[str, Sequence[UUID]] = {Way.WORDS: by_words, Way.MEANING: by_meaning}
    allowed = queries.documents_at(session, reach, indexed)
    ranked[Way.INDEX] = [row_id for row_id in indexed if row_id in allowed]
    merged = fused(ranked)
    rows = queries.documents_at(session, reach, [row_id for row_id, _, _ in merged])
    listed = [hit for hit in merged if hit[0] in rows][: question.limit]
    newest = newest_scans(session, [row_id for row_id, _, _ in listed])
    hits = [
        Hit(Kind.DOCUMENT, score, ways, document=FoundDocument(rows[row_id], newest[row_id].id))
        for row_id, score, ways in listed
        if row_id in newest
    ]
    return hits, bool(by_words)


def _terms(session: Session, kind: Kind, reach: Reach, text: str) -> list[str]:
    """Return the terms of the owners in reach, or of everyone if there are too many."""
    words = stems(text)
    if not words:
        return []
    owners: Sequence[UUID | None] = [reach.owner_id]
    if reach.is_everyones:
        owners = [None]
    elif reach.member_id is not None:
        found = queries.owners(session, reach, limit=MAX_OWNERS + 1)
        owners = [None] if len(found) > MAX_OWNERS else found
    return wanted_terms(kind, owners, words)


def _sentence(session: Session, readable: Reach, place: Place) -> str:
    scan_id, _ = place
    row = finding_queries.findings_at(session, readable, [place]).get(place)
    if row is None:
        known = get_scan(session, scan_id, readable) is not None
        raise NotFound(
            "The scan has no finding with this number."
            if known
            else "There is no scan with this id that you may read."
        )
    return row[0].context


def _is_cached(reach: Reach) -> bool:
    return reach.member_id is None and reach.owner_id is not None
