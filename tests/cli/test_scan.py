"""`scan`: files and standard input in, a table or JSON lines out."""

import json

from tests.nlp.prose import planted
from tests.support.sentences import FLOW_TEXT


def test_scan_standard_input_prints_a_table(riskscan):
    done = riskscan("scan", "-", stdin=FLOW_TEXT)
    assert done.returncode == 0, done.stderr
    assert "findings: 2, sentences: 1" in done.stdout
    assert "Budget" in done.stdout
    assert "Schedule" in done.stdout


def test_scan_files_as_json_prints_a_line_each(riskscan, tmp_path):
    for name in ("a.txt", "b.md"):
        (tmp_path / name).write_text(FLOW_TEXT)
    done = riskscan("scan", "--json", tmp_path / "a.txt", tmp_path / "b.md")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(r["findings"]) for r in results] == [2, 2]
    assert {f["risk_type"] for f in results[0]["findings"]} == {
        "tight-budget",
        "aggressive-deadline",
    }


def test_scan_needs_neither_database_nor_keys(riskscan, tmp_path):
    riskscan("scan", "-", stdin=FLOW_TEXT)
    assert not (tmp_path / "data").exists()


def test_scan_faulty_file_is_named_and_the_others_go_on(riskscan, tmp_path):
    (tmp_path / "good.txt").write_text(FLOW_TEXT)
    (tmp_path / "bad.pdf").write_text("no pdf")
    done = riskscan("scan", tmp_path / "absent.txt", tmp_path / "bad.pdf", tmp_path / "good.txt")
    assert done.returncode == 1
    assert "absent.txt" in done.stderr
    assert "bad.pdf" in done.stderr
    assert "findings: 2" in done.stdout


def test_wrong_settings_are_reported_together(riskscan):
    done = riskscan("scan", "-", stdin="x", PORT="high", CORS_ORIGINS="*", JWT_SECRET="short")
    assert done.returncode == 1
    for name in ("PORT", "CORS_ORIGINS", "JWT_SECRET"):
        assert name in done.stderr


def test_scan_of_another_language_warns_on_standard_error(riskscan):
    german = "Zwei der vier Entwickler verlassen das Team vor der Freigabe."
    done = riskscan("scan", "--json", "-", stdin=german)
    assert "Warning: About 100% of the text" in done.stderr
    result = json.loads(done.stdout)
    assert result["coverage"]["language"] == "de"
    assert [w["code"] for w in result["warnings"]] == ["language_not_read"]


def test_scan_with_a_timeout_ends_by_it_rather_than_by_the_setting(riskscan):
    done = riskscan(
        "scan", "--timeout", "0.5", "-", stdin=planted(1_500_000, 13).text, AI_TIMEOUT_S="60"
    )
    assert done.returncode == 1
    assert "did not end within 0.5 s" in done.stderr
    assert "--timeout" in done.stderr
