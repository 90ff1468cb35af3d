"""Reports of scans in every format: what they contain, who gets them, and what they leave in the logs."""

import csv
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from jsonschema import Draft7Validator
from lxml import html
from openpyxl import load_workbook
from pypdf import PdfReader

from tests.api.filing import new_session
from tests.api.reviewing import BUDGET, SCHEDULE, finding, judge
from tests.support.office_files import zipped
from tests.support.sarif import sarif_schema
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

FORMATS = ("json", "csv", "xlsx", "pdf", "html", "sarif")
MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
    "html": "text/html",
    "sarif": "application/sarif+json",
}
REPORTS = "/api/v1/reports"
FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1+1")


def scanned(user, name="plan.txt", text=FLOW_TEXT, **form):
    file = {"file": (name, text.encode())}
    response = user.http.post("/api/v1/scan", files=file, data=form).raise_for_status()
    return f"/api/v1/scans/{response.json()['scan_id']}"


def report(user, scan, file_format, **query):
    return user.http.get(f"{scan}/report", params={"format": file_format, **query})


def sheets(content):
    """Return the cells of a workbook by sheet, without formulas: there must be none."""
    book = load_workbook(io.BytesIO(content))
    cells = [cell for sheet in book for row in sheet.rows for cell in row]
    assert "f" not in {cell.data_type for cell in cells}
    return {sheet.title: [[c.value for c in row] for row in sheet.rows] for sheet in book}


def text_of(file_format, content):
    """Return what a reader of a report sees, in one line."""
    if file_format == "pdf":
        text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    elif file_format == "xlsx":
        text = " ".join(str(v) for rows in sheets(content).values() for row in rows for v in row)
    elif file_format == "html":
        text = html.fromstring(content).text_content()
    else:
        text = content.decode()
    return " ".join(text.split())


@pytest.mark.parametrize("file_format", FORMATS)
def test_report_has_document_model_coverage_and_findings_with_verdicts(user, file_format):
    scan = scanned(user, "plan für é.txt")
    judge(user, scan, finding(user, scan)["id"])
    judge(user, scan, finding(user, scan, SCHEDULE)["id"], "rejected")
    answer = report(user, scan, file_format).raise_for_status()
    assert answer.headers["Content-Type"].startswith(MEDIA_TYPES[file_format])
    assert f"report.{file_format}" in answer.headers["Content-Disposition"]
    text, shown = text_of(file_format, answer.content), user.http.get(scan).json()
    name = "plan%20f%C3%BCr%20%C3%A9.txt" if file_format == "sarif" else "plan für é.txt"
    expected = [name, shown["model_name"], shown["model_version"], FLOW_TEXT, "Budget"]
    expected += ["confirmed", "rejected"]
    assert [part for part in expected if part not in text] == []


def test_findings_of_the_formats_are_the_same(user):
    scan = scanned(user)
    items = user.http.get(f"{scan}/findings").json()["items"]
    expected = {(i["id"], i["risk"], i["category_title"], i["context"]) for i in items}
    bodies = {name: report(user, scan, name).raise_for_status().content for name in FORMATS}
    rows = json.loads(bodies["json"])["scans"][0]["findings"]
    assert {(r["n"], r["risk"], r["category_title"], r["context"]) for r in rows} == expected
    lines = [*csv.DictReader(io.StringIO(bodies["csv"].decode()))][:-1]
    assert {(int(r["n"]), r["risk"], r["category"], r["context"]) for r in lines} == expected
    header, *cells = sheets(bodies["xlsx"])["Findings"]
    rows = [dict(zip(header, row, strict=True)) for row in cells]
    assert {(r["No."], r["Risk"], r["Category"], r["Sentence"]) for r in rows} == expected
    results = json.loads(bodies["sarif"])["runs"][0]["results"]
    assert {r["properties"]["n"] for r in results} == {i["id"] for i in items}
    rows = html.fromstring(bodies["html"]).xpath("//section//tbody/tr")
    assert {(int(r[0].text), r[3].text, r[4].text, r[2].text) for r in rows} == expected


def test_sarif_report_passes_the_official_schema(user):
    scan = scanned(user, "a b%/ü.txt", f"{FLOW_TEXT}. Das Wetter in München ist schön und warm.")
    judge(user, scan, 1, "rejected")
    log = report(user, scan, "sarif").raise_for_status().json()
    errors = [error.message for error in Draft7Validator(sarif_schema()).iter_errors(log)]
    assert errors == []
    [run] = log["runs"]
    [rejected] = [r for r in run["results"] if "suppressions" in r]
    assert rejected["ruleId"] in {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    region = rejected["locations"][0]["physicalLocation"]["region"]
    assert region["snippet"]["text"] == FLOW_TEXT + "."
    assert (region["charOffset"], region["charLength"]) == (0, len(FLOW_TEXT) + 1)


def test_workbook_has_a_native_chart_of_the_categories(user):
    content = report(user, scanned(user), "xlsx").raise_for_status().content
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert "xl/charts/chart1.xml" in names
    summary = sheets(content)["Summary"]
    assert ["Findings", 2] in [row[:2] for row in summary]


@pytest.mark.parametrize("start", FORMULAS)
def test_text_that_looks_like_a_formula_stays_text(user, start):
    name = f"{start.strip()}|calc.txt"
    scan = scanned(user, name, f"{start} Project has tight budget and aggressive deadline.")
    rows = [*csv.reader(io.StringIO(report(user, scan, "csv").raise_for_status().text))]
    cells = [cell for row in rows[1:-1] for cell in row]
    assert rows[1][0] == f"'{name}"
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    found = sheets(report(user, scan, "xlsx").raise_for_status().content)  # has no formula cell
    assert found["Documents"][1][0] == name


LANGUAGES = {
    "arabic": "الميزانية ضيقة والموعد النهائي قريب جدا.",
    "hebrew": "התקציב מצומצם.",
    "chinese": "项目预算紧张。",
    "hindi": "परियोजना का बजट बहुत कम है।",
    "thai": "งบประมาณโครงการตึงตัว",
    "emoji": "👩🏽‍🚀 \U0001f535 Zalgo: e\u0301\u0327\u0300",
    "controls": "a\u200bb\u00adc\u2028d\u202ee {nb} %PDF **x** __y__",
}


@pytest.mark.parametrize("text", LANGUAGES.values(), ids=LANGUAGES)
def test_text_in_any_language_is_reported(user, text):
    scan = scanned(user, f"{text[:20]}.txt", f"{text} {FLOW_TEXT}. {text}")
    for file_format in FORMATS:
        shown = text_of(file_format, report(user, scan, file_format).raise_for_status().content)
        assert "aggressive deadline" in shown, file_format


def test_html_report_escapes_the_document_and_needs_nothing_else(user):
    scan = scanned(user, "<script>x</script>.txt", f"<img src=x onerror=alert(1)> {FLOW_TEXT}.")
    answer = report(user, scan, "html").raise_for_status()
    page = html.fromstring(answer.content)
    assert page.xpath("//script | //img | //link | //*[@src] | //*[@href]") == []
    assert "<img src=x" in page.text_content()
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_report_shows_the_warnings_of_the_coverage(user):
    german = "Das Budget des Projekts ist sehr knapp und die Frist ist zu kurz. " * 3
    scan = scanned(user, "plan.txt", german)
    warnings = user.http.get(scan).json()["warnings"]
    assert warnings
    for file_format in ("json", "xlsx", "pdf", "html", "sarif"):
        shown = text_of(file_format, report(user, scan, file_format).raise_for_status().content)
        assert warnings[0]["message"][:30] in shown, file_format


def test_csv_report_repeats_the_warnings_but_not_the_names_of_all_unread_files(user):
    files = [("plan.txt", FLOW_TEXT), *((f"{n}.bin", b"\0") for n in range(40))]
    upload = {"file": ("papers.zip", zipped(files))}
    answer = user.http.post("/api/v1/scan", files=upload).raise_for_status().json()
    scan = f"/api/v1/scans/{answer['scan_id']}"
    text = report(user, scan, "csv").raise_for_status().text
    [first, second, _] = csv.DictReader(io.StringIO(text))
    [warning] = user.http.get(scan).json()["warnings"]
    assert first["coverage_warnings"] == second["coverage_warnings"] == warning["message"]
    assert "35 more" in warning["message"]
    for file_format in ("json", "xlsx", "pdf", "html", "sarif"):
        shown = text_of(file_format, report(user, scan, file_format).raise_for_status().content)
        assert "39.bin" in shown, file_format


@pytest.mark.parametrize("file_format", FORMATS)
def test_report_of_a_scan_without_findings(user, file_format):
    scan = scanned(user, text="The sky is blue.")
    assert report(user, scan, file_format).raise_for_status().content


def test_accept_chooses_the_format_unless_the_query_does(user):
    scan = scanned(user)
    for media_type in MEDIA_TYPES.values():
        answer = user.http.get(f"{scan}/report", headers={"Accept": media_type})
        assert answer.headers["Content-Type"].startswith(media_type)
    html_wanted = {"Accept": "text/html"}
    answer = user.http.get(f"{scan}/report", headers=html_wanted, params={"format": "pdf"})
    assert answer.headers["Content-Type"] == "application/pdf"
    answer = user.http.get(f"{scan}/report", headers={"Accept": "image/png"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def names(answer):
    return {scan["document"] for scan in answer.raise_for_status().json()["scans"]}


@pytest.mark.every_database
def test_report_of_many_scans_by_id_session_team_and_time(user, admin):
    first, second = scanned(user, "a.txt"), scanned(user, "b.txt", "We may lose the permit.")
    ids = [scan.rsplit("/", 1)[1] for scan in (first, second)]
    get = user.http.get
    assert names(get(REPORTS, params={"scan_id": ids})) == {"a.txt", "b.txt"}
    session = new_session(user)
    form = {"file": ("b.txt", b"We may lose the permit.")}
    user.http.post(f"{session}/files", files=form).raise_for_status()
    assert names(get(REPORTS, params={"session": session.rsplit("/", 1)[1]})) == {"b.txt"}
    team = admin.http.post("/api/v1/teams", json={"name": f"T{user.id}"}).json()["id"]
    admin.http.put(f"/api/v1/teams/{team}/members/{user.id}").raise_for_status()
    user.http.put(f"{first}/teams/{team}").raise_for_status()
    assert names(get(REPORTS, params={"team": team})) == {"a.txt"}
    now = datetime.now(UTC)
    for hours, expected in ((-1, {"a.txt", "b.txt"}), (1, set())):
        since = (now + timedelta(hours=hours)).isoformat()
        assert names(get(REPORTS, params={"created_from": since})) == expected


def test_report_reads_more_scans_than_a_page_and_counts_them(user):
    for _ in range(3):
        scanned(user)
    body = user.http.get(REPORTS, params={"created_from": "2020-01-01"}).raise_for_status().json()
    assert (body["n_scans"], body["n_findings"], len(body["scans"])) == (3, 6, 3)
    assert body["complete"]
    assert sum(row["n_findings"] for row in body["categories"]) == 6


@pytest.mark.parametrize("query", [{}, {"scope": "own"}, {"scan_id": "x"}, {"format": "doc"}])
def test_query_without_a_selection_or_with_faults_is_refused(user, query):
    answer = user.http.get(REPORTS, params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.every_database
def test_nobody_elses_scan_is_in_a_report(user, new_user, admin):
    mine, stranger = scanned(user, "secret.txt"), new_user()
    scan_id = mine.rsplit("/", 1)[1]
    session = new_session(user).rsplit("/", 1)[1]
    team = admin.http.post("/api/v1/teams", json={"name": f"T{scan_id}"}).json()["id"]
    for file_format in FORMATS:
        assert report(stranger, mine, file_format).status_code == 404
        for query in ({"scan_id": scan_id}, {"session": session}, {"team": team}):
            params = {"format": file_format, **query}
            assert stranger.http.get(REPORTS, params=params).status_code == 404
        for scope in ("own", "team", "reviewable"):
            params = {"format": file_format, "created_from": "2020-01-01", "scope": scope}
            answer = stranger.http.get(REPORTS, params=params).raise_for_status()
            assert "secret" not in text_of(file_format, answer.content)


def test_report_shows_an_owner_their_own_verdicts_and_a_reviewer_everyones(user, reviewer):
    scan = scanned(user)
    n = finding(user, scan, BUDGET)["id"]
    judge(reviewer, scan, n, "rejected")

    def verdict(reader):
        [shown] = report(reader, scan, "json").raise_for_status().json()["scans"]
        return next(f["verdict"] for f in shown["findings"] if f["n"] == n)

    assert (verdict(user), verdict(reviewer)) == (None, "rejected")
    judge(user, scan, n)
    assert (verdict(user), verdict(reviewer)) == ("confirmed", "rejected")


@pytest.mark.every_database
def test_report_leaves_a_log_row_and_audit_events(user, reviewer, admin):
    scan = scanned(user)
    size = len(report(reviewer, scan, "xlsx").raise_for_status().content)
    query = {"user_id": reviewer.id, "kind": "scans"}
    [row] = admin.http.get("/api/v1/admin/report-logs", params=query).json()["items"]
    scan_id = scan.rsplit("/", 1)[1]
    assert (row["format"], row["n_rows"], row["size_bytes"]) == ("xlsx", 2, size)
    assert (row["outcome"], row["scope"]) == ("finished", {"scan_ids": [scan_id]})
    query = {"user_id": reviewer.id}
    events = admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]
    by_action = {event["action"]: event for event in events}
    assert by_action["data.exported"]["detail"] == {"format": "xlsx", "scan_ids": [scan_id]}
    assert by_action["foreign.read"]["detail"] == {"owner_id": user.id}


@pytest.mark.system
def test_report_that_the_client_does_not_read_to_the_end_is_logged_as_cut_off(user, admin):
    text = " ".join(f"{FLOW_TEXT} in phase {n}." for n in range(3_000))
    scan = scanned(user, text=text)
    with user.http.stream("GET", f"{scan}/report", params={"format": "json"}) as answer:
        next(answer.iter_raw())
    query = {"user_id": user.id, "kind": "scans"}

    def outcomes():
        rows = admin.http.get("/api/v1/admin/report-logs", params=query).json()["items"]
        return [row["outcome"] for row in rows]

    wait_until(lambda: outcomes() == ["cut_off"], outcomes)
