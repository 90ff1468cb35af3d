"""Scans: stored once with findings and event; idempotency keys, owners and pages."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, func, insert, select, update

from db.queries.reach import EVERYONE, own
from db.queries.scans import ScanFilter, list_findings
from db.tables import Document, DocumentText, Scan, User
from service.domain.documents.documents import delete_document
from service.domain.limits import COUNTED_SCANS
from service.domain.scans.options import ScanOptions
from service.domain.scans.scans import Scans, delete_scan, get_scan, list_scans
from service.errors import Conflict, NotFound, Unauthenticated
from service.nlp.pipeline import Submission
from service.nlp.taxonomy import built_in
from tests.db.conftest import scan_values
from tests.domain.conftest import TEXT

HARMLESS = Submission(text="All is well.")
RISKY = Submission(text=TEXT)


@pytest.fixture
def pages(transactions, user):
    """Read pages of two of the user's scans."""

    def read(reach=None, *, after=None, page=1, **chosen):
        only = ScanFilter(**chosen)
        return transactions.read(
            list_scans,
            reach or own(user.id),
            only,
            taxonomy=built_in(),
            per_page=2,
            after=after,
            page=page,
        )

    return read


def test_create_stores_the_scan_with_its_findings_in_order(transactions, scans, user):
    scan = scans.create(user.id, RISKY, key=None).scan
    stored = transactions.read(get_scan, own(user.id), scan.id, taxonomy=built_in()).scan
    findings = transactions.read(list_findings, scan.id, after_n=0, limit=9)
    assert [f.risk_type for f in findings] == ["tight-budget", "aggressive-deadline"]
    assert [TEXT[f.start : f.end] for f in findings] == [f.context for f in findings]
    assert (stored.n_findings, stored.sensitivity, stored.source) == (2, "balanced", "model")


def test_create_records_an_event(scans, user, events):
    scans.create(user.id, RISKY, key=None)
    assert events() == ["scan.created"]


def test_create_by_an_llm_stores_no_sensitivity(scans, pipeline, user):
    pipeline.source = "llm"
    scan = scans.create(user.id, RISKY, key=None).scan
    assert (scan.source, scan.sensitivity) == ("llm", None)


def test_create_with_a_used_key_returns_the_stored_scan_and_analyzes_once(
    scans, pipeline, user, events
):
    first, second = (scans.create(user.id, RISKY, key="k").scan for _ in range(2))
    assert (first.id, first.n_findings) == (second.id, second.n_findings)
    assert len(pipeline.submissions) == len(events()) == 1


def test_create_with_a_used_key_and_other_content_conflicts(scans, user):
    scans.create(user.id, RISKY, key="k")
    with pytest.raises(Conflict, match="Idempotency-Key"):
        scans.create(user.id, HARMLESS, key="k")


def test_create_with_a_used_key_and_a_given_default_conflicts(scans, user):
    silent = Submission(text=TEXT, silent_on=frozenset({"force_llm", "sensitivity"}))
    scans.create(user.id, silent, key="k")
    for given in ({"force_llm"}, {"sensitivity"}):
        with pytest.raises(Conflict):
            scans.create(user.id, replace(silent, silent_on=silent.silent_on - given), key="k")


def test_create_stores_a_hash_of_the_request_that_needs_the_secret(
    transactions, scans, pipeline, originals, add_user
):
    other = Scans(
        transactions,
        pipeline,
        secret_key="o" * 32,
        keep_original=originals.keeping,
        report=lambda *_, **__: None,
    )
    owners = ((scans, add_user().id), (other, add_user().id))
    stored = {maker.create(owner, RISKY, key="k").scan.request_sha256 for maker, owner in owners}
    assert len(stored - {RISKY.fingerprint()}) == 2


def test_create_with_a_key_from_before_the_signed_hashes_returns_its_scan(
    transactions, scans, user
):
    first = scans.create(user.id, RISKY, key="k").scan
    transactions.run(lambda s: s.execute(update(Scan).values(request_sha256=None)).close())
    assert scans.create(user.id, RISKY, key="k").scan.id == first.id


def test_scan_again_of_a_document_deleted_meanwhile_stores_nothing(
    transactions, scans, pipeline, scan, user
):
    document_id = scan.document_id
    pipeline.during_scan = lambda: transactions.run(delete_document, user.id, document_id)
    with pytest.raises(NotFound, match="deleted while"):
        scans.scan_again(user.id, document_id, ScanOptions(), key=None)
    for table in (Scan, Document, DocumentText):
        count = select(func.count()).select_from(table)
        assert transactions.read(lambda s, count=count: s.scalar(count)) == 0


def test_create_with_the_key_of_another_user_stores_another_scan(scans, add_user):
    first, second = (scans.create(add_user().id, RISKY, key="k").scan for _ in range(2))
    assert first.id != second.id


def overtake(scans, pipeline, user, submission):
    """Create a scan with the key "k" while the next one is analyzed; return the list that receives it."""
    overtaking = []

    def create():
        pipeline.during_scan = lambda: None
        overtaking.append(scans.create(user.id, submission, key="k").scan)

    pipeline.during_scan = create
    return overtaking


def test_create_overtaken_by_a_request_with_its_key_returns_that_scan(
    scans, pipeline, user, events
):
    overtaking = overtake(scans, pipeline, user, RISKY)
    scan = scans.create(user.id, RISKY, key="k").scan
    assert [scan.id] == [other.id for other in overtaking]
    assert events() == ["scan.created"]


def test_create_overtaken_by_other_content_with_its_key_conflicts(scans, pipeline, user):
    overtake(scans, pipeline, user, HARMLESS)
    with pytest.raises(Conflict):
        scans.create(user.id, RISKY, key="k")


@pytest.mark.parametrize("key", [None, "k"])
def test_create_for_an_account_deleted_meanwhile_is_unauthenticated(
    transactions, scans, pipeline, user, key
):
    statement = delete(User).where(User.id == user.id)
    pipeline.during_scan = lambda: transactions.run(lambda s: s.execute(statement).close())
    with pytest.raises(Unauthenticated, match="deleted meanwhile"):
        scans.create(user.id, RISKY, key=key)


def test_create_reports_a_stored_scan_once(scans, user, reported):
    first, _ = (scans.create(user.id, RISKY, key="k").scan for _ in range(2))
    assert reported == [first.id]


def test_get_scan_of_another_owner_is_not_found(transactions, scan, add_user):
    with pytest.raises(NotFound):
        transactions.read(get_scan, own(add_user().id), scan.id, taxonomy=built_in())
    assert transactions.read(get_scan, EVERYONE, scan.id, taxonomy=built_in()).scan.id == scan.id


def test_delete_scan_removes_it_with_its_findings_and_records_it(transactions, scan, user, events):
    transactions.run(delete_scan, user.id, scan.id)
    assert transactions.read(list_findings, scan.id, after_n=0, limit=9) == []
    assert events()[0] == "scan.deleted"
    with pytest.raises(NotFound):
        transactions.run(delete_scan, user.id, scan.id)


def test_delete_scan_of_another_owner_is_not_found_and_keeps_it(transactions, scan, user, add_user):
    with pytest.raises(NotFound):
        transactions.run(delete_scan, add_user().id, scan.id)
    assert transactions.read(get_scan, own(user.id), scan.id, taxonomy=built_in())


def test_list_scans_in_pages_lists_every_scan_once_newest_first(scans, user, pages):
    ids = [scans.create(user.id, HARMLESS, key=None).scan.id for _ in range(5)]
    all_pages = [pages(page=n) for n in (1, 2, 3)]
    assert [scan.id for page in all_pages for scan in page.scans] == ids[::-1]
    assert [(page.total.n, page.total.is_exact) for page in all_pages] == [(5, True)] * 3
    assert [page.next_after is None for page in all_pages] == [False, False, True]


def test_list_scans_after_a_position_continues_without_a_total(scans, user, pages):
    ids = [scans.create(user.id, HARMLESS, key=None).scan.id for _ in range(4)]
    second = pages(after=pages().next_after)
    assert [scan.id for scan in second.scans] == ids[1::-1]
    assert (second.total, second.next_after) == (None, None)


def test_list_scans_beyond_the_last_page_is_empty_with_the_total(scans, user, pages):
    scans.create(user.id, HARMLESS, key=None)
    page = pages(page=2)
    assert (list(page.scans), page.total.n, page.next_after) == ([], 1, None)


def test_list_scans_of_everyone_or_of_one_risk_type(scans, scan, add_user, pages):
    scans.create(add_user().id, HARMLESS, key=None)
    assert [len(pages(reach).scans) for reach in (own(scan.user_id), EVERYONE)] == [1, 2]
    assert [s.id for s in pages(EVERYONE, risk_type="tight-budget").scans] == [scan.id]


def test_list_scans_beyond_the_counting_limit_has_an_inexact_total(transactions, scan, user, pages):
    rows = [
        scan_values(user.id, id=UUID(int=n), created_at=scan.created_at - timedelta(seconds=n))
        for n in range(1, COUNTED_SCANS + 3)
    ]
    transactions.run(lambda s: s.execute(insert(Scan), rows).close())
    first, beyond = pages(), pages(page=COUNTED_SCANS // 2 + 1)
    assert (first.total.n, first.total.is_exact) == (COUNTED_SCANS, False)
    assert (beyond.total.n, beyond.total.is_exact) == (COUNTED_SCANS + 3, False)
