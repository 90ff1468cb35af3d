"""Candidates of a search: the best findings, each once, however often its document was scanned."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

from sqlalchemy.orm import Session

from db.queries import search as queries
from db.queries.places import Place
from db.queries.reach import Reach
from db.queries.search import Known

CANDIDATES = 200
"""Best matches by words, and by meaning, that are merged."""
MAX_REPEATED = 4_000
"""Best matches by words that are read if some of the first ones are of repeated scans."""


def found_by_words(
    session: Session, terms: Sequence[str], reach: Reach, *, category: str | None
) -> dict[Place, Known]:
    """Return up to CANDIDATES findings in reach with any of the terms, best first.

    A finding of several scans of a document is that of the newest scan.
    """
    for limit in (CANDIDATES, MAX_REPEATED):
        places = queries.findings_by_words(session, terms, reach, category=category, limit=limit)
        known = queries.known_at(session, places)
        newest = newest_of(places, known)
        listed = list(dict.fromkeys(newest[place] for place in places if place in newest))
        if len(places) < limit or len(listed) >= CANDIDATES:
            break
    return {place: known[place] for place in listed[:CANDIDATES]}


def newest_of(places: Iterable[Place], known: Mapping[Place, Known]) -> dict[Place, Place]:
    """Return for each stored finding the same one of the newest scan of its document among `places`."""
    keys = {place: key_of(place, known[place]) for place in places if place in known}
    newest: dict[Hashable, Place] = {}
    for place, key in keys.items():
        newest[key] = max(newest.get(key, place), place)  # ids of scans increase with time
    return {place: newest[key] for place, key in keys.items()}


def key_of(place: Place, known: Known) -> Hashable:
    """Return what is equal for the same finding in scans of one document or of its versions."""
    return (known.series_id, known.fingerprint) if known.fingerprint else place
