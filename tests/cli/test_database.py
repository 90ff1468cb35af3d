"""`db`, and the choice of the database that each command works on."""

import re

import pytest

from tests.db.old_rows import add_orphan


def test_db_upgrade_twice_prints_the_same_revision(riskscan):
    first, second = riskscan("db", "upgrade"), riskscan("db", "upgrade")
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout != ""


def test_db_upgrade_with_the_server_down_names_the_setting(riskscan):
    result = riskscan("db", "upgrade", DATABASE_URL="mysql+pymysql://root@127.0.0.1:9/none")
    assert result.returncode == 1
    assert "DATABASE_URL" in result.stderr


def test_db_orphans_lists_and_removes_rows_without_their_owner(riskscan, tmp_path):
    riskscan("db", "upgrade")
    url = f"sqlite:///{tmp_path}/data/riskscan.db"
    add_orphan(url)
    listing = riskscan("db", "orphans")
    assert listing.returncode == 0, listing.stderr
    assert "scans: 1 without a row in users (user_id 01900000-" in listing.stdout
    assert "--remove" in listing.stdout
    assert f"Removed from {url}: 1 of scans." in riskscan("db", "orphans", "--remove").stdout
    assert "Every row" in riskscan("db", "orphans").stdout


def test_command_with_an_env_file_works_on_its_database(riskscan, tmp_path):
    settings, database = tmp_path / "settings", tmp_path / "named.db"
    settings.write_text(f"DATABASE_URL='sqlite:///{database}'  # ours\n")
    account = ("users", "create", "root@corp.local")
    result = riskscan(*account, stdin="long enough\n", RISKSCAN_ENV_FILE=str(settings))
    assert f"in sqlite:///{database}." in result.stdout
    again = riskscan(*account, stdin="long enough\n", DATABASE_URL=f"sqlite:///{database}")
    assert "has an account already" in again.stderr


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
def test_command_that_writes_names_its_database(riskscan, tmp_path, command):
    result = riskscan(*command, stdin="long enough\n")
    assert f"sqlite:///{tmp_path / 'data' / 'riskscan.db'}" in result.stdout + result.stderr


@pytest.mark.parametrize(
    "settings",
    [
        {"DATA_DIR": "/proc/x"},
        {"DATABASE_URL": "sqlite:////proc/x/r.db"},
        {"DATABASE_URL": "mysql://root:hunter2@127.0.0.1/x?nosuchoption=1"},
        {"DATABASE_URL": "mysql://root:hunter2@127.0.0.1/x?charset=klingon"},
        {"DATABASE_URL": "mysql://root:hunter2@127.0.0.1/x?ssl_ca=/proc/x"},
    ],
    ids=["folder", "file", "option", "charset", "certificate"],
)
def test_db_upgrade_with_unusable_settings_names_the_remedy(riskscan, settings):
    result = riskscan("db", "upgrade", **settings)
    assert result.returncode == 1
    assert re.match(r"riskscan: .*(DATABASE_URL|DATA_DIR)", result.stderr.splitlines()[-1])
    assert "hunter2" not in result.stderr
