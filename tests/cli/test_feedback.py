"""`feedback export`: what it refuses."""


def test_feedback_export_where_no_file_can_be_says_so(riskscan, tmp_path):
    done = riskscan("feedback", "export", "--out", tmp_path / "absent" / "feedback.jsonl")
    assert done.returncode == 1
    assert "absent" in done.stderr
    assert "Traceback" not in done.stderr


def test_feedback_export_since_no_date_is_refused(riskscan):
    done = riskscan("feedback", "export", "--since", "yesterday")
    assert done.returncode == 2
    assert "--since" in done.stderr
