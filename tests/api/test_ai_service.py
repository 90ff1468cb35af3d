"""AI_SERVICE_URL: an external service that reads multipart only and has its own taxonomy."""

import io
import json
from contextlib import closing

import pytest

from service.domain.audit import Actor
from service.domain.report_logs import ReportLogs
from service.domain.reviews.export import FeedbackExport
from tests.fakes.loopback import Reply
from tests.fakes.scan_server import UNREADABLE, ScanServer, item
from tests.support.calls import caller
from tests.support.documents import pdf_of_pages
from tests.support.sentences import FLOW_TEXT

FOREIGN = {"risk": "Zahlungsverzug", "category": "Finanzen", "context": FLOW_TEXT}
ELSEWHERE = {"risk": "Lock-in", "category": "Vendor", "context": "They depend on one vendor."}


@pytest.fixture(scope="module")
def ai_service():
    server = ScanServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def live(start_service, database_url, ai_service):
    """The service under test, which calls the AI service."""
    return start_service(DATABASE_URL=database_url, AI_SERVICE_URL=ai_service.url)


@pytest.fixture
def scan(user, ai_service):
    """Store a scan to which the AI service responds with these items; return its id."""

    def scan_text(*items, text=FLOW_TEXT):
        ai_service.say({"data": items, "source": "model"})
        answer = user.scan(text)
        scan_id = answer.json()["scan_id"]
        stored = user.http.get(f"/api/v1/scans/{scan_id}").json()
        assert answer.json()["data"] == stored["data"] == [*items]
        return scan_id

    return scan_text


@pytest.fixture
def findings(user):
    def of(scan_id):
        return user.http.get(f"/api/v1/scans/{scan_id}/findings").json()["items"]

    return of


def judge(user, scan_id, n, **body):
    return user.http.put(f"/api/v1/scans/{scan_id}/findings/{n}/feedback", json=body)


def exported(live, scan_id):
    services = live.services
    file = io.StringIO()
    FeedbackExport(
        services.transactions, ReportLogs(services.transactions), secret_key="k" * 32
    ).write(file, actor=Actor(operator="test"))
    lines = map(json.loads, file.getvalue().splitlines())
    return [line for line in lines if line["provenance"]["scan_id"] == scan_id]


def test_scan_of_a_text_returns_what_the_ai_service_found(user, ai_service):
    answer = user.scan(
        FLOW_TEXT,
    )
    assert {i["category"] for i in answer.json()["data"]} == {"Budget", "Schedule"}
    assert ai_service.requests[-1][1] == {"text": FLOW_TEXT}


def test_scan_of_a_file_forwards_the_file_unchanged(user, ai_service):
    data = pdf_of_pages([["A page."]])
    ai_service.say({"data": [], "source": "model"})
    answer = user.http.post(
        "/api/scan", files={"file": ("r\u00e9port.pdf", data, "application/pdf")}
    )
    assert ai_service.requests[-1][1] == {"file": ("r\u00e9port.pdf", data, "application/pdf")}
    scan = user.http.get(answer.headers["Location"]).json()
    assert (scan["coverage"]["sentences"], scan["coverage"]["pages"]) == (1, 1)


def test_scan_with_force_llm_forwards_the_field(user, ai_service):
    answer = user.http.post("/api/scan", data={"text": FLOW_TEXT, "force_llm": "true"})
    assert answer.json()["source"] == "llm"
    assert ai_service.requests[-1][1] == {"text": FLOW_TEXT, "force_llm": "true"}


def test_findings_outside_the_taxonomy_keep_their_titles(scan, findings):
    [finding] = findings(scan(FOREIGN))
    assert (finding["risk_type"], finding["category"]) == (None, None)
    assert (finding["risk"], finding["category_title"]) == ("Zahlungsverzug", "Finanzen")
    assert (finding["start"], finding["end"], finding["located"]) == (0, len(FLOW_TEXT), True)


def test_finding_not_in_the_text_is_kept_as_not_located(scan, findings):
    own, other = findings(scan(item("tight-budget", FLOW_TEXT), ELSEWHERE))
    assert own["located"]
    assert (other["start"], other["end"], other["page"]) == (None, None, None)
    assert (other["located"], other["context"]) == (False, ELSEWHERE["context"])


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ({"foreign_risk": "Zahlungsverzug"}, 1),
        ({"foreign_category": "Finanzen"}, 1),
        ({"foreign_risk": "Zahlungsverzug", "foreign_category": "Vendor"}, 0),
        ({"foreign_risk": "zahlungsverzug"}, 0),
        ({"category": "budget"}, 0),
        ({"q": "one vendor"}, 1),
    ],
)
def test_scans_filter_by_foreign_title_selects_matches(user, scan, query, n):
    scan(FOREIGN, ELSEWHERE)
    assert user.http.get("/api/scans", params=query).json()["total"] == n


def test_scan_of_a_file_only_the_ai_service_reads_has_a_warning(user, ai_service):
    ai_service.say({"data": [FOREIGN], "source": "model"})
    files = {"file": ("plan.odt", b"PK\x03\x04", "application/vnd.oasis.opendocument.text")}
    answer = user.http.post("/api/scan", files=files)
    assert answer.json()["data"] == [FOREIGN]
    assert answer.headers["X-Riskscan-Warning"].startswith("document_not_read: ")
    scan = user.http.get(answer.headers["Location"]).json()
    assert (scan["coverage"]["characters"], scan["coverage"]["sentences"]) == (None, None)
    assert [w["code"] for w in scan["warnings"]] == ["document_not_read"]


def test_missed_risk_in_a_file_only_the_ai_service_reads_is_rejected(user, ai_service):
    ai_service.say({"data": [], "source": "model"})
    answer = user.http.post("/api/scan", files={"file": ("plan.odt", b"PK\x03\x04")})
    body = {"start": 0, "end": 2, "context": "No", "risk_types": ["outage"]}
    for document in ({}, {"text": "No"}):
        path = f"{answer.headers['Location']}/feedback"
        feedback = user.http.post(path, json={**body, **document})
        assert (feedback.status_code, feedback.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (422, UNREADABLE, "body.text: Field required"),
        (500, {"detail": "out of memory"}, "out of memory"),
        (415, {"title": "No", "detail": "No ODT.", "code": "x"}, "No ODT."),
        (200, {"detail": "nothing here"}, "lacks the list `data`"),
    ],
)
def test_scan_ai_service_failure_is_502_with_its_message(user, ai_service, status, body, message):
    ai_service.replies.append(Reply(status, json.dumps(body).encode()))
    answer = user.scan(FLOW_TEXT)
    assert (answer.status_code, answer.json()["code"]) == (502, "analyzer_error")
    assert message in answer.json()["detail"]


@pytest.mark.parametrize("n", [1, 2])
def test_foreign_finding_verdict_is_stored(user, scan, n):
    scan_id = scan(FOREIGN, ELSEWHERE)
    for verdict in ("confirmed", "rejected"):
        feedback = judge(user, scan_id, n, verdict=verdict).json()
        assert (feedback["verdict"], feedback["risk_types"]) == (verdict, [])
    assert (feedback["start"] is None) == (n == 2)
    current = user.http.get(f"/api/v1/scans/{scan_id}/feedback").json()["items"]
    assert [f["verdict"] for f in current] == ["rejected"]


def test_foreign_finding_on_which_users_differ_is_disputed(user, reviewer, admin, scan):
    scan_id = scan(FOREIGN, ELSEWHERE)
    for account, verdict in ((user, "confirmed"), (reviewer, "rejected")):
        judge(account, scan_id, 1, verdict=verdict).raise_for_status()
        judge(account, scan_id, 2, verdict="rejected").raise_for_status()
    queue = admin.http.get("/api/v1/reviews/queue", params={"kind": "disputed"}).json()["items"]
    [item] = [item for item in queue if item["scan_id"] == scan_id]
    assert (item["finding"], item["answers"]) == (1, [[], ["Zahlungsverzug"]])


def test_agreement_on_foreign_findings_compares_the_verdicts(user, reviewer, admin, scan):
    def agreement():
        items = admin.http.get("/api/v1/reviews/agreement").raise_for_status().json()["items"]
        counts = [(i["n_pairs"], i["n_agreeing"]) for i in items if i["category"] is None]
        return counts[0] if counts else (0, 0)

    n_pairs, n_agreeing = agreement()
    scan_id = scan(FOREIGN)
    judge(user, scan_id, 1, verdict="confirmed").raise_for_status()
    judge(reviewer, scan_id, 1, verdict="rejected").raise_for_status()
    assert agreement() == (n_pairs + 1, n_agreeing)
    judge(admin, scan_id, 1, verdict="confirmed").raise_for_status()
    assert agreement() == (n_pairs + 3, n_agreeing + 1)


@pytest.mark.parametrize("verdict", ["confirmed", "rejected"])
@pytest.mark.parametrize("n", [1, 2])
def test_export_of_a_foreign_finding_is_empty(live, user, scan, n, verdict):
    scan_id = scan(FOREIGN, ELSEWHERE)
    judge(user, scan_id, n, verdict=verdict)
    assert exported(live, scan_id) == []


@pytest.mark.parametrize(("n", "text"), [(1, FLOW_TEXT), (2, ELSEWHERE["context"])])
def test_export_of_a_relabelled_foreign_finding_has_its_types(live, user, scan, n, text):
    scan_id = scan(FOREIGN, ELSEWHERE)
    judge(user, scan_id, n, verdict="relabelled", risk_types=["tight-budget"])
    [line] = exported(live, scan_id)
    assert (line["text"], line["labels"]) == (text, ["tight-budget"])


def test_export_of_a_sentence_with_a_foreign_finding_is_empty(live, user, scan):
    scan_id = scan(item("tight-budget", FLOW_TEXT), FOREIGN)
    judge(user, scan_id, 1, verdict="confirmed")
    assert exported(live, scan_id) == []


def test_metrics_count_foreign_findings(live, scan):
    scan(FOREIGN)
    with closing(caller(live.url)) as http:
        assert (
            'riskscan_findings_total{category="foreign",source="model"}'
            in http.get("/metrics").text
        )
