"""Scans and findings are read back as stored, by their owner alone."""

from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils.compat
from sqlalchemy.exc import IntegrityError, OperationalError

from db.queries import scans
from db.queries.reach import own
from db.queries.scans import ScanFilter, Total
from db.tables import User
from tests.db.conftest import add_scan, add_user, count, finding, scan_values

REFUSED = (IntegrityError, OperationalError)  # MySQL calls a broken CHECK the latter


def list_ids(database, user, **chosen):
    page = database.run(
        lambda s: scans.list_scans(s, own(user.id), ScanFilter(**chosen), limit=100)
    )
    return [scan.id for scan in page]


def count_scans(database, user, *chosen, at_most):
    return database.run(lambda s: scans.count_scans(s, own(user.id), *chosen, at_most=at_most))


def findings(database, scan, after_n=0, limit=100):
    return database.run(lambda s: scans.list_findings(s, scan.id, after_n=after_n, limit=limit))


def test_add_scan_reads_back_whole(database, user, store_scan):
    coverage = {"pages": None, "warning": 'Zu teuer \U0001f4b8 für "uns"'}
    stored = store_scan(filename="Плän \U0001f600.pdf", coverage=coverage)
    scan = database.run(lambda s: scans.get_scan(s, stored.id, own(user.id)))
    assert (scan.filename, scan.coverage) == (stored.filename, coverage)


def test_add_scan_keeps_microseconds(database, user, store_scan):
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
    stored = store_scan(created_at=moment)
    scan = database.run(lambda s: scans.get_scan(s, stored.id, own(user.id)))
    assert scan.created_at == moment


def test_add_scan_of_a_time_in_another_zone_is_the_same_moment(database, user, store_scan):
    moment = datetime.fromisoformat("2026-03-29T03:30:00+02:00")
    stored = store_scan(created_at=moment)
    scan = database.run(lambda s: scans.get_scan(s, stored.id, own(user.id)))
    assert scan.created_at == moment


def test_add_scan_with_a_long_context_is_not_cut(database, store_scan):
    context = "Der Termin ist eng \U0001f525. " * 20_000  # 460,000 bytes; TEXT would end at 65,535
    assert findings(database, store_scan(context))[0].context == context


def test_add_scan_with_thousands_of_findings_keeps_their_order(database, store_scan):
    stored = store_scan(*(f"Sentence {n}." for n in range(1, 3001)))
    numbers = [f.n for f in findings(database, stored, after_n=2990)]
    assert numbers == list(range(2991, 3001))


def test_add_scan_with_findings_on_some_pages_only_keeps_each(database, user):
    pages, values = [None, 1, None, 2], scan_values(user.id)
    rows = [finding(n, page=page) for n, page in enumerate(pages, start=1)]
    stored = database.run(lambda s: add_scan(s, values, rows))
    assert [f.page for f in findings(database, stored)] == pages


def test_add_scan_with_a_used_key_is_refused_and_stores_nothing(database, user, store_scan):
    first = store_scan(idempotency_key="order-1")
    with pytest.raises(IntegrityError):
        store_scan("A finding.", idempotency_key="order-1")
    assert list_ids(database, user) == [first.id]


def test_scan_by_key_is_case_sensitive(database, user, store_scan):
    stored = store_scan(idempotency_key="Key")
    store_scan(idempotency_key="key")
    scan = database.run(lambda s: scans.scan_by_key(s, user.id, "Key"))
    assert scan.id == stored.id


def test_scan_by_key_of_another_user_is_none(database, store_scan):
    store_scan(idempotency_key="k")
    other = database.run(add_user)
    assert database.run(lambda s: scans.scan_by_key(s, other.id, "k")) is None


def test_get_scan_of_another_user_is_none(database, store_scan):
    stored = store_scan()
    other = database.run(add_user)
    assert database.run(lambda s: scans.get_scan(s, stored.id, own(other.id))) is None


def test_add_scan_of_a_deleted_user_is_refused(database):
    values = scan_values(uuid_utils.compat.uuid7())
    with pytest.raises(IntegrityError):
        database.run(lambda s: add_scan(s, values, []))


@pytest.mark.parametrize("wrong", [{"source": "guess"}, {"n_findings": -1}])
def test_add_scan_outside_its_checks_is_refused(store_scan, wrong):
    with pytest.raises(REFUSED):
        store_scan(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"score": 1.01}, {"score": -0.01}, {"start": 5, "end": 5}, {"page": 0}, {"n": 0}]
)
def test_add_finding_outside_its_checks_is_refused(database, user, wrong):
    values, rows = scan_values(user.id), [{**finding(1), **wrong}]
    with pytest.raises(REFUSED):
        database.run(lambda s: add_scan(s, values, rows))


def test_finding_without_score_and_page_reads_back(database, user):
    values, rows = scan_values(user.id), [finding(1, score=None, page=None, start=3, end=9)]
    scan = database.run(lambda s: add_scan(s, values, rows))
    stored = findings(database, scan)[0]
    assert (stored.score, stored.page, stored.start, stored.end) == (None, None, 3, 9)


def test_finding_score_reads_back_exactly(database, user):
    values, score = scan_values(user.id), 0.123456789012345
    scan = database.run(lambda s: add_scan(s, values, [finding(1, score=score)]))
    assert findings(database, scan)[0].score == score


def test_delete_scan_deletes_its_findings(database, store_scan):
    stored = store_scan("One.", "Two.")
    assert database.run(lambda s: scans.delete_scan(s, stored.id, stored.user_id)) is True
    assert findings(database, stored) == []
    assert database.run(lambda s: scans.delete_scan(s, stored.id, stored.user_id)) is False


def test_delete_scan_of_another_user_deletes_nothing(database, store_scan):
    stored, other = store_scan("One."), database.run(add_user)
    assert database.run(lambda s: scans.delete_scan(s, stored.id, other.id)) is False
    assert len(findings(database, stored)) == 1


def test_delete_user_deletes_scans_and_findings(database, user, store_scan):
    stored = store_scan("One.")
    database.run(lambda s: s.delete(s.get(User, user.id)))
    assert findings(database, stored) == []
    assert database.run(lambda s: count(s, "scans", "document_sha256", "f" * 64)) == 0


def test_list_scans_omits_those_of_others(database, store_scan):
    store_scan()
    assert list_ids(database, database.run(add_user)) == []


def test_list_scans_by_source(database, user, store_scan):
    store_scan(source="model")
    stored = store_scan(source="llm")
    assert list_ids(database, user, source="llm") == [stored.id]


def test_list_scans_by_created_range_includes_from_and_excludes_before(database, user, store_scan):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    days = [store_scan(created_at=start + timedelta(days=n)).id for n in range(3)]
    chosen = {"created_from": start, "created_before": start + timedelta(days=2)}
    assert list_ids(database, user, **chosen) == [days[1], days[0]]


def test_list_scans_by_labels_requires_one_finding_with_both(database, user):
    def store(*rows):
        values = scan_values(user.id)
        return database.run(lambda s: add_scan(s, values, list(rows))).id

    both = store(finding(1, risk_type="schedule", category="delivery"))
    store(finding(1, risk_type="schedule"), finding(2, category="delivery"))
    assert list_ids(database, user, risk_type="schedule", category="delivery") == [both]


@pytest.mark.parametrize("q", ["ÜBER", "über das", "100%_\\/", "PLAN.pdf", "\U0001f525"])
def test_list_scans_by_q_ignores_case_and_matches_wildcards_literally(
    database, user, store_scan, q
):
    stored = store_scan("Über das Budget: 100%_\\/ weg \U0001f525.", filename="Plan.PDF")
    store_scan("Uber 100 percent \U0001f4b8", filename="other.txt")
    assert list_ids(database, user, q=q) == [stored.id]


def test_count_scans_with_a_filter_counts_matching_scans(database, user, store_scan):
    for source in ("model", "llm", "llm"):
        store_scan("One.", "Two.", source=source)
    chosen = ScanFilter(source="llm", category="financial")
    assert count_scans(database, user, chosen, at_most=3) == Total(2, is_exact=True)
    assert count_scans(database, user, at_most=3) == Total(3, is_exact=True)


def test_count_scans_beyond_its_bound_counts_among_the_newest(database, user, store_scan):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for n, source in enumerate(("llm", "model", "llm", "llm")):
        store_scan(source=source, created_at=start + timedelta(days=n))
    assert count_scans(database, user, at_most=3) == Total(3, is_exact=False)
    assert count_scans(database, user, ScanFilter(source="model"), at_most=2) == Total(
        1, is_exact=False
    )
    assert count_scans(database, user, ScanFilter(source="model"), at_most=1) == Total(
        0, is_exact=False
    )
    newer = ScanFilter(created_from=start + timedelta(days=1))
    assert count_scans(database, user, newer, at_most=3) == Total(3, is_exact=True)


def test_count_scans_of_an_empty_account_is_exactly_zero(database, user):
    assert count_scans(database, user, at_most=1) == Total(0, is_exact=True)
