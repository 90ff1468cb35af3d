"""After `seed`, each page answers whoever may see it, and what it lists was seeded."""

import pytest
from click.testing import CliRunner

from service.cli.main import main
from tests.web.test_login import HTML

PASSWORD = "correct horse"
PAGES = {
    "user": ["/", "/sessions", "/keys", "/settings"],
    "team-reviewer": ["/queue", "/dashboard"],
    "reviewer": ["/queue", "/dashboard"],
    "instructor": ["/courses"],
    "analyst": ["/models"],
    "auditor": ["/audit"],
    "admin": ["/users", "/dashboard"],
}


@pytest.fixture(scope="module")
def demo(start_service, templates, tmp_path_factory):
    """A service on a seeded database."""
    folder = tmp_path_factory.mktemp("demo")
    with templates.copy("sqlite", folder) as url:
        settings = {"DATA_DIR": str(folder), "DATABASE_URL": url, "RISKSCAN_ENV_FILE": ""}
        seeded = CliRunner().invoke(main, ["seed", "--password", PASSWORD], env=settings)
        assert seeded.exit_code == 0, seeded.output
        yield start_service(**settings)


@pytest.fixture
def log_in(demo, new_visitor):
    """Log in with the account of a role."""

    def log_in(name):
        visitor = new_visitor(demo.url)
        answer = visitor.send("/login", email=f"{name}@demo.local", password=PASSWORD)
        assert answer.status_code == 303
        return visitor.http

    return log_in


def items(http, path, **query):
    return http.get(f"/api/v1/{path}", params=query).raise_for_status().json()["items"]


@pytest.mark.parametrize("name", PAGES)
def test_each_page_answers(log_in, name):
    http = log_in(name)
    for page in PAGES[name]:
        assert http.get(page, headers=HTML).status_code == 200, page


def test_user_has_documents_a_session_a_key_and_a_team(log_in):
    http = log_in("user")
    names = [document["name"] for document in items(http, "documents")]
    plan = "Harbour Gate project plan.docx"  # both versions are one entry of the list
    assert names == ["Audit report Q2.md", "Security policy.txt", plan]
    assert all(scan["n_findings"] > 3 for scan in items(http, "scans"))
    [session] = items(http, "sessions")
    assert session["n_files"] == 2
    assert [key["name"] for key in items(http, "auth/keys")] == ["Nightly import"]
    assert [team["name"] for team in items(http, "teams")] == ["Harbour Gate"]


def test_next_version_of_the_plan_has_changed_findings(log_in):
    http = log_in("user")
    plans = [
        scan
        for scan in items(http, "scans")
        if scan["filename"] == "Harbour Gate project plan.docx"
    ]
    changes = http.get(f"/api/v1/scans/{plans[0]['scan_id']}/changes").raise_for_status().json()
    assert changes["document_changed"] is True
    assert min(changes["n_new"], changes["n_same"], changes["n_gone"]) > 0


def test_reviewers_have_a_queue_and_disagreements(log_in):
    http = log_in("reviewer")
    assert items(http, "reviews/queue")
    agreement = items(http, "reviews/agreement")
    n_pairs, n_agreeing = (sum(i[name] for i in agreement) for name in ("n_pairs", "n_agreeing"))
    assert 0 < n_agreeing < n_pairs


def test_audit_trail_has_failed_log_ins(log_in):
    events = items(log_in("auditor"), "admin/audit-events", action="login.failed")
    assert [event["detail"]["client_address"] for event in events] == ["203.0.113.7"] * 3


def test_user_takes_a_course_and_is_recommended_the_other(log_in):
    http = log_in("user")
    [enrolment] = items(http, "enrolments")
    assert (enrolment["course_code"], enrolment["status"]) == ("SEC-101", "in_progress")
    recommended = {item["course"]["code"] for item in items(http, "recommendations")}
    assert recommended == {"PLAN-101", "SEC-101"}
    [assigned] = items(log_in("colleague"), "enrolments")
    assert (assigned["course_code"], assigned["status"]) == ("PLAN-101", "not_started")
