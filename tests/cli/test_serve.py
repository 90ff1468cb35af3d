"""Serving with unusable settings ends before anything opens, and names every fault."""

import pytest


def test_serve_in_production_without_secrets_names_all_that_is_missing(riskscan):
    done = riskscan(RISKSCAN_ENV="production")
    assert done.returncode == 1
    for name in ("SECRET_KEY", "JWT_SECRET", "DATABASE_URL"):
        assert name in done.stderr


@pytest.mark.parametrize(
    "url",
    ["mysql+pymysql://bob:hunter2@host:port/x", "sqlite:///", "mysql+pymysql://bob:hunter2@h"],
)
def test_serve_with_a_malformed_database_address_hides_its_password(riskscan, url):
    done = riskscan(DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stderr.startswith("riskscan: The settings are not usable: DATABASE_URL")
    assert "hunter2" not in done.stderr
