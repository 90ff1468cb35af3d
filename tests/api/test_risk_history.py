"""What the history of a risk says of its findings."""

import pytest

from tests.api.risk_register import confirmed, created, scanned
from tests.support.sentences import FLOW_TEXT


def changes(user, risk):
    items = user.http.get(f"{risk}/history").raise_for_status().json()["items"]
    return [(i["finding"]["document"], i["finding"]["context"], bool(i["after"])) for i in items]


@pytest.mark.every_database
def test_added_and_removed_finding_has_document_and_sentence(user):
    scan = scanned(user)
    chosen = confirmed(user, scan)
    risk = created(user, finding=chosen)
    assert changes(user, risk) == [("plan.txt", FLOW_TEXT, True)]
    user.http.delete(f"{risk}/findings", params=chosen).raise_for_status()
    known = ("plan.txt", FLOW_TEXT)
    assert changes(user, risk) == [(*known, False), (*known, True)]
    user.http.delete(scan).raise_for_status()
    assert changes(user, risk) == [(None, None, False), (None, None, True)]


def test_removed_sentence_is_for_the_owner_of_its_scan_only(people, shared_risk):
    risk, _, chosen = shared_risk
    assert changes(people["member"], risk) == [("plan.txt", FLOW_TEXT, True)]
    people["owner"].http.delete(f"{risk}/findings", params=chosen).raise_for_status()
    assert changes(people["member"], risk)[0] == (None, None, False)
    assert changes(people["creator"], risk)[0] == ("plan.txt", FLOW_TEXT, False)
