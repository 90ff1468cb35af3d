"""Frequent statements read rows by an index, not whole tables."""

from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils.compat

from db.queries import audit, batch_queue, feedback, files, risks, user_data
from tests.db.conftest import sqlite
from tests.db.plans import plans

pytestmark = sqlite  # its plans do not depend on the number of rows


def assert_no_table_is_scanned(explained):
    steps = [step for text in explained for step in text.splitlines()]
    assert steps
    assert [step for step in steps if "scan " in step] == []


def test_renewal_of_leases_reads_only_the_claimed_items(database):
    claim = batch_queue.ItemClaim(*(uuid_utils.compat.uuid7() for _ in range(3)))
    explained = plans(
        database,
        lambda s: batch_queue.renew_claims(s, [claim], lease=timedelta(seconds=1)),
    )
    assert_no_table_is_scanned(explained)
    assert len(explained) == 2


def test_risks_of_a_scan_are_read_without_those_of_others(database, store_scan):
    scan, reader = store_scan("The budget is tight."), uuid_utils.compat.uuid7()
    for series in (None, uuid_utils.compat.uuid7()):
        explained = plans(database, lambda s, of=series: risks.risks_in_scan(s, reader, scan, of))
        assert "ix_risk_findings_scan_id" in explained[0]
        assert "scan risk" not in explained[0]


@pytest.mark.parametrize("name", ["audit_events", "feedback", "risk_findings"])
def test_export_reads_the_rows_of_a_user_by_an_index_in_order(database, name):
    last = {"id": uuid_utils.compat.uuid7(), "created_at": datetime.now(UTC)}
    for after in (None, last):
        explained = plans(
            database,
            lambda s, at=after: user_data.list_rows(
                s, user_data.LISTED[name], last["id"], after=at, limit=9
            ),
        )
        assert_no_table_is_scanned(explained)
        assert "temp b-tree" not in "".join(explained)


def test_comments_of_a_user_are_blanked_by_an_index(database):
    explained = plans(database, lambda s: feedback.erase_comments(s, uuid_utils.compat.uuid7()))
    assert_no_table_is_scanned(explained)


def test_audit_events_of_an_object_are_listed_by_their_index_in_order(database):
    only = audit.EventFilter(object_id="x")
    [explained] = plans(database, lambda s: audit.list_events(s, only, limit=9))
    assert "ix_audit_events_object_id_created_at_id" in explained
    assert "temp b-tree" not in explained


def test_quota_reads_only_items_of_batches_with_bytes(database):
    explained = plans(database, lambda s: files.used_bytes(s, uuid_utils.compat.uuid7()))[-1]
    assert "search batches using index" in explained
    assert "search batch_items using index ix_batch_items_batch_id" in explained
