"""Frequent statements read rows by an index, not whole tables."""

from datetime import timedelta

import uuid_utils.compat

from db.queries import batch_queue, risks
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
