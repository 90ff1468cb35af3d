"""The database goes away right after a request has stored something: the answer says that it is stored."""

import pytest
from flask import has_request_context

from service.errors import DatabaseUnavailable
from tests.api.filing import add, new_session
from tests.api.reviewing import SCHEDULE
from tests.api.risk_register import NEW, RISKS, confirmed, created, get, listed, scanned
from tests.support.documents import pdf_of_pages
from tests.support.sentences import FLOW_TEXT


@pytest.fixture
def send(live, monkeypatch):
    """Send a request after whose first COMMIT the database is away until it is answered."""
    transactions = live.services.transactions

    def away_after(call, committed):
        def wrapped(*args, **kwargs):
            if committed and has_request_context():
                raise DatabaseUnavailable("The database does not answer. Try again shortly.")
            result = call(*args, **kwargs)
            if call == run and has_request_context():
                committed.append(args[0])
            return result

        return wrapped

    run, read = transactions.run, transactions.read

    def post(user, path, **kwargs):
        with monkeypatch.context() as patch:
            committed = []
            patch.setattr(transactions, "run", away_after(run, committed))
            patch.setattr(transactions, "read", away_after(read, committed))
            answer = user.http.post(path, **kwargs)
        assert committed
        return answer

    return post


def test_risk_is_created_once(user, send):
    scan = scanned(user)
    for body in (NEW, {**NEW, "finding": confirmed(user, scan)}):
        answer = send(user, RISKS, json=body)
        assert answer.status_code == 201, answer.text
        now = user.http.get(answer.headers["Location"])
        assert (answer.json(), answer.headers["ETag"]) == (now.json(), now.headers["ETag"])
    assert len(listed(user)) == 2


def test_finding_is_added_to_a_risk(user, send):
    scan = scanned(user)
    risk = created(user, finding=confirmed(user, scan))
    answer = send(user, f"{risk}/findings", json=confirmed(user, scan, SCHEDULE))
    assert answer.status_code == 201, answer.text
    assert answer.json() == get(user, risk)


def test_scan_of_a_file_is_stored_with_its_pages(user, send):
    session = new_session(user)
    file = add(user, session, "two.pdf", pdf_of_pages([FLOW_TEXT, "All is well."]))
    [item] = send(user, f"{session}/scan", json={}).json()["items"]
    assert item["status"] == "scanned", item
    assert user.http.get(file.headers["Location"]).json()["pages"] == 2
