"""The commands, as an operator types them."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.db.old_rows import add_orphan
from tests.e2e.conftest import ROOT
from tests.support.calls import HTTP
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


def test_wrong_settings_are_told_all_at_once(riskscan):
    done = riskscan("scan", "-", stdin="x", PORT="high", CORS_ORIGINS="*", JWT_SECRET="short")
    assert done.returncode == 1
    for name in ("PORT", "CORS_ORIGINS", "JWT_SECRET"):
        assert name in done.stderr


def test_users_create_admin_makes_an_admin_who_may_read_the_trail(riskscan, start):
    done = riskscan("users", "create", "root@corp.local", "--admin", stdin="long enough\n")
    assert done.returncode == 0, done.stderr
    url = start().url
    form = {"username": "root@corp.local", "password": "long enough"}
    token = HTTP.post(f"{url}/api/auth/login", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    events = HTTP.get(f"{url}/api/admin/audit-events", headers=headers).json()["items"]
    assert [e["action"] for e in events] == ["user.logged_in", "user.registered"]


def test_command_works_on_the_database_of_the_env_file(riskscan, tmp_path):
    settings, database = tmp_path / "settings", tmp_path / "named.db"
    settings.write_text(f"DATABASE_URL='sqlite:///{database}'  # ours\n")
    account = ("users", "create", "root@corp.local")
    done = riskscan(*account, stdin="long enough\n", RISKSCAN_ENV_FILE=str(settings))
    assert f"in sqlite:///{database}." in done.stdout
    again = riskscan(*account, stdin="long enough\n", DATABASE_URL=f"sqlite:///{database}")
    assert "has an account already" in again.stderr


def test_env_file_of_the_projects_root_is_read_wherever_the_command_runs(tmp_path):
    for package in ("service", "db"):
        shutil.copytree(ROOT / package, tmp_path / package)
    (tmp_path / "models_cache").mkdir()
    shutil.copy(ROOT / "models_cache" / "CURRENT", tmp_path / "models_cache")
    (tmp_path / ".env").write_text("DATA_DIR=kept\n")
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "service", "db", "upgrade"]
    subprocess.run(command, cwd="/", env=environ, check=True)
    assert (tmp_path / "kept" / "riskscan.db").is_file()


@pytest.mark.parametrize(
    "command",
    [
        ("db", "upgrade"),
        ("users", "create", "a@corp.local"),
        ("feedback", "export"),
        ("models", "shadow", "--off"),
    ],
    ids=" ".join,
)
def test_command_that_writes_says_to_which_database(riskscan, tmp_path, command):
    done = riskscan(*command, stdin="long enough\n")
    assert f"sqlite:///{tmp_path / 'data' / 'riskscan.db'}" in done.stdout + done.stderr


@pytest.mark.parametrize("command", [(), ("db", "upgrade")], ids=["serve", "db upgrade"])
@pytest.mark.parametrize(
    "settings",
    [
        {"DATA_DIR": "/proc/x"},
        {"DATA_DIR": "/proc/x", "SECRET_KEY": "k" * 32, "JWT_SECRET": "j" * 32},
        {"DATABASE_URL": "sqlite:////proc/x/r.db"},
        {"DATABASE_URL": "mysql://root:hunter2@127.0.0.1/x?nosuchoption=1"},
        {"DATABASE_URL": "mysql://root:hunter2@127.0.0.1/x?charset=klingon"},
        {"DATABASE_URL": "mysql://root:hunter2@127.0.0.1/x?ssl_ca=/proc/x"},
    ],
    ids=["keys", "folder", "file", "option", "charset", "certificate"],
)
def test_start_fault_is_a_sentence_with_a_remedy(riskscan, command, settings):
    done = riskscan(*command, **settings)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert re.match(r"riskscan: .*(DATABASE_URL|DATA_DIR)", line)
    assert "hunter2" not in done.stderr


def test_users_are_managed_from_list_to_disable(riskscan):
    emails = ["root@corp.local", f"{'long' * 15}@corp.local"]
    for email in emails:
        riskscan("users", "create", email, "--reviewer", stdin="long enough\n")
    assert "has the role admin" in riskscan("users", "set-role", emails[0], "admin").stdout
    riskscan("users", "disable", emails[1])
    accounts = [
        json.loads(line) for line in riskscan("users", "list", "--json").stdout.splitlines()
    ]
    shown = {a["email"]: (a["role"], a["disabled_at"] is None) for a in accounts}
    assert shown == {emails[0]: ("admin", True), emails[1]: ("reviewer", False)}
    refused = riskscan("users", "disable", emails[0])
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "last enabled administrator" in refused.stderr


def test_users_list_fits_80_columns_and_cuts_no_address(riskscan):
    email = f"{'long' * 15}@corp.{'internal.' * 5}local"
    riskscan("users", "create", email, stdin="long enough\n")
    lines = riskscan("users", "list", COLUMNS="80").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert email in "".join(
        line.rsplit("\u2502", 2)[1].strip() for line in lines if "\u2502" in line
    )


def test_users_reset_password_reads_it_from_standard_input(riskscan, start):
    riskscan("users", "create", "a@corp.local", stdin="long enough\n")
    done = riskscan("users", "reset-password", "a@corp.local", stdin="another one\r\n")
    assert "has a new password" in done.stdout
    form = {"username": "a@corp.local", "password": "another one"}
    assert HTTP.post(f"{start().url}/api/auth/login", data=form).status_code == 200


def test_users_create_with_bad_password_says_so(riskscan):
    done = riskscan("users", "create", "root@corp.local", stdin="short\n")
    assert done.returncode == 1
    assert "7" in done.stderr


def test_db_upgrade_tells_the_revision(riskscan):
    first, second = riskscan("db", "upgrade"), riskscan("db", "upgrade")
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout != ""


def test_db_upgrade_away_says_what_to_check(riskscan):
    done = riskscan("db", "upgrade", DATABASE_URL="mysql+pymysql://root@127.0.0.1:9/none")
    assert done.returncode == 1
    assert "DATABASE_URL" in done.stderr


def test_db_orphans_lists_and_removes_what_lost_its_owner(riskscan, tmp_path):
    riskscan("db", "upgrade")
    url = f"sqlite:///{tmp_path}/data/riskscan.db"
    add_orphan(url)
    listed = riskscan("db", "orphans")
    assert listed.returncode == 0, listed.stderr
    assert "scans: 1 without a row in users (user_id 01900000-" in listed.stdout
    assert "--remove" in listed.stdout
    assert f"Removed from {url}: 1 of scans." in riskscan("db", "orphans", "--remove").stdout
    assert "Every row" in riskscan("db", "orphans").stdout


def test_models_verify_proves_the_shipped_model(riskscan, tmp_path):
    assert "is proved" in riskscan("models", "verify").stdout
    absent = riskscan("models", "verify", tmp_path)
    assert absent.returncode == 1
    assert "manifest.json" in absent.stderr


def test_scan_starts_no_telemetry_of_onnx_runtime(riskscan, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    done = riskscan("scan", "-", stdin=FLOW_TEXT, HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert not list(home.rglob("*"))  # its telemetry keeps a database and an identifier here


def test_scan_of_another_language_warns_on_standard_error(riskscan):
    german = "Zwei der vier Entwickler verlassen das Team vor der Freigabe."
    done = riskscan("scan", "--json", "-", stdin=german)
    assert "Warning: About 100% of the text" in done.stderr
    result = json.loads(done.stdout)
    assert result["coverage"]["language"] == "de"
    assert [w["code"] for w in result["warnings"]] == ["language_not_read"]
