"""`feedback export`: what it refuses and logs."""

from db.queries.report_logs import ReportFilter, list_reports


def test_feedback_export_where_no_file_can_be_says_so(riskscan, tmp_path):
    done = riskscan("feedback", "export", "--out", tmp_path / "absent" / "feedback.jsonl")
    assert done.returncode == 1
    assert "absent" in done.stderr
    assert "Traceback" not in done.stderr


def test_feedback_export_since_no_date_is_refused(riskscan):
    done = riskscan("feedback", "export", "--since", "yesterday")
    assert done.returncode == 2
    assert "--since" in done.stderr


def test_feedback_export_is_logged_with_its_operator(riskscan, services, tmp_path):
    done = riskscan("feedback", "export", "--out", tmp_path / "feedback.jsonl")
    assert done.returncode == 0
    [report] = services.transactions.read(list_reports, ReportFilter(kind="feedback"), limit=9)
    assert (report.outcome, report.n_rows, report.operator[:4]) == ("finished", 0, "cli:")
