"""`scan`: files and standard input in, a table or JSON lines out."""

import json

from tests.nlp.prose import planted
from tests.support.sentences import FLOW_TEXT


def test_scan_standard_input_prints_a_table(riskscan):
    result = riskscan("scan", "-", stdin=FLOW_TEXT)
    assert result.returncode == 0, result.stderr
    assert "findings: 2, sentences: 1" in result.stdout
    assert "Budget" in result.stdout
    assert "Schedule" in result.stdout


def test_scan_files_as_json_prints_a_line_each(riskscan, tmp_path):
    for name in ("a.txt", "b.md"):
        (tmp_path / name).write_text(FLOW_TEXT)
    result = riskscan("scan", "--json", tmp_path / "a.txt", tmp_path / "b.md")
    results = [json.loads(line) for line in result.stdout.splitlines()]
    assert [len(r["findings"]) for r in results] == [2, 2]
    assert {f["risk_type"] for f in results[0]["findings"]} == {
        "tight-budget",
        "aggressive-deadline",
    }


def test_scan_needs_neither_database_nor_keys(riskscan, tmp_path):
    riskscan("scan", "-", stdin=FLOW_TEXT)
    assert not (tmp_path / "data").exists()


def test_scan_with_faulty_files_names_them_and_scans_the_others(riskscan, tmp_path):
    (tmp_path / "good.txt").write_text(FLOW_TEXT)
    (tmp_path / "bad.pdf").write_text("no pdf")
    result = riskscan("scan", tmp_path / "absent.txt", tmp_path / "bad.pdf", tmp_path / "good.txt")
    assert result.returncode == 1
    assert "absent.txt" in result.stderr
    assert "bad.pdf" in result.stderr
    assert "findings: 2" in result.stdout


def test_scan_with_wrong_settings_reports_them_together(riskscan):
    result = riskscan("scan", "-", stdin="x", PORT="high", CORS_ORIGINS="*", JWT_SECRET="short")
    assert result.returncode == 1
    for name in ("PORT", "CORS_ORIGINS", "JWT_SECRET"):
        assert name in result.stderr


def test_scan_of_another_language_warns_on_standard_error(riskscan):
    german = "Zwei der vier Entwickler verlassen das Team vor der Freigabe."
    result = riskscan("scan", "--json", "-", stdin=german)
    assert "Warning: About 100% of the text" in result.stderr
    result = json.loads(result.stdout)
    assert result["coverage"]["language"] == "de"
    assert [w["code"] for w in result["warnings"]] == ["language_not_read"]


def test_scan_with_a_timeout_ends_by_it_rather_than_by_the_setting(riskscan):
    result = riskscan(
        "scan", "--timeout", "0.5", "-", stdin=planted(1_500_000, 13).text, AI_TIMEOUT_S="60"
    )
    assert result.returncode == 1
    assert "did not end within 0.5 s" in result.stderr
    assert "--timeout" in result.stderr
