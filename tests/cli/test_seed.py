"""`seed`: a demo, once, and not in production."""

import pytest

from db.tables import Role

PRODUCTION = {"RISKSCAN_ENV": "production", "SECRET_KEY": "k" * 32, "JWT_SECRET": "j" * 32}


def passwords(result):
    """Return the printed passwords by address."""
    cells = [line.split() for line in result.stdout.splitlines() if "@demo.local" in line]
    return {row[3]: row[5] for row in cells}


@pytest.mark.system
def test_seed_prints_each_password_once_and_refuses_to_run_again(riskscan, own_database_url):
    seeded = riskscan("seed", DATABASE_URL=own_database_url)
    assert seeded.returncode == 0, seeded.stderr
    printed = passwords(seeded)
    assert printed.keys() == {f"{name}@demo.local" for name in [*Role, "colleague"]}
    assert len(set(printed.values())) == len(printed)
    assert "5 documents, 6 scans, " in seeded.stdout
    assert ", 1 exports." in seeded.stdout
    assert "log in at http://localhost:8000/login" in seeded.stdout
    again = riskscan("seed", DATABASE_URL=own_database_url)
    assert (again.returncode, again.stdout) == (1, "")
    assert "accounts of a demo already" in again.stderr
    assert riskscan("audit", "verify", DATABASE_URL=own_database_url).returncode == 0
    assert riskscan("files", "verify", DATABASE_URL=own_database_url).returncode == 0


def test_seed_in_production_needs_force(riskscan, tmp_path):
    settings = {**PRODUCTION, "DATABASE_URL": f"sqlite:///{tmp_path / 'p.db'}"}
    refused = riskscan("seed", **settings)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "RISKSCAN_ENV is production" in refused.stderr
    seeded = riskscan("seed", "--force", "--password", "long enough", **settings)
    assert seeded.returncode == 0, seeded.stderr
    assert seeded.stdout.count("long enough") == len(Role) + 1


def test_seed_with_a_short_password_adds_nothing(riskscan):
    refused = riskscan("seed", "--password", "x")
    assert refused.returncode == 1
    assert "@demo.local" not in riskscan("users", "list").stdout


def test_seed_prints_the_whole_command_that_serves_the_demo(riskscan, tmp_path):
    folder = tmp_path / "the demo"
    seeded = riskscan("seed", DATA_DIR=str(folder), PORT="8123")
    assert f"`DATA_DIR='{folder}' PORT=8123 make run`" in seeded.stdout
    assert "http://localhost:8123/login" in seeded.stdout


@pytest.mark.parametrize("store_text", ["hash", "none"])
def test_seed_where_no_text_is_stored_scans_all_the_same(riskscan, store_text):
    seeded = riskscan("seed", STORE_TEXT=store_text)
    assert seeded.returncode == 0, seeded.stderr
    assert "5 documents, 5 scans, " in seeded.stdout
