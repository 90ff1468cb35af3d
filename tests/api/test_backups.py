"""A backup of a service that runs, and a service that starts on what was restored from it."""

import os
from contextlib import closing

import pytest
from click.testing import CliRunner

from service.cli.main import main
from tests.api.conftest import SETTINGS
from tests.api.filing import PDF, add, new_session
from tests.api.test_documents import scanned_file
from tests.api.test_originals import PAGE, keep
from tests.support.calls import caller
from tests.support.databases import fresh_database

pytestmark = pytest.mark.every_database


def command(settings, *arguments):
    """Run a command on the service's database, as an operator does beside it."""
    clean = {name: None for name in os.environ if name not in {"PATH", "HOME", "LANG"}}
    own = {**settings, "SECRET_KEY": SETTINGS["SECRET_KEY"], "RISKSCAN_ENV_FILE": ""}
    result = CliRunner().invoke(main, [*map(str, arguments)], env={**clean, **own})
    assert result.exit_code == 0, result.output
    return result.stdout


def log_in(url, user):
    """Return the user's caller of another service, after a log-in with the password and a refresh."""
    http = caller(url)
    form = {"username": user.email, "password": user.password}
    http.post("/api/v1/auth/login", data=form).raise_for_status()
    refresh = {"refresh_token": user.tokens["refresh_token"]}
    renewed = http.post("/api/v1/auth/refresh", json=refresh).raise_for_status().json()
    http.headers["Authorization"] = f"Bearer {renewed['access_token']}"
    return http


def answers(http, paths):
    return [http.get(path).raise_for_status() for path in paths]


@pytest.mark.system
def test_service_on_a_restored_backup_answers_as_before(
    live, user, backend, tmp_path, start_service
):
    keep(user)
    session = new_session(user)
    upload = add(user, session)
    document = scanned_file(user, "page.html", PAGE)
    paths = ["/api/v1/scans", document, f"{document}/text", f"{session}/files"]
    before = [answer.json() for answer in answers(user.http, paths)]
    config, path = live.services.config, tmp_path / "a.tar.zst"
    source = {"DATA_DIR": str(config.data_dir), "DATABASE_URL": config.database_url}
    command(source, "backup", path)
    with fresh_database(backend, tmp_path) as url:
        target = {"DATA_DIR": str(tmp_path / "data"), "DATABASE_URL": url}
        assert "SECRET_KEY" not in command(target, "restore", path)
        restored = start_service(**target)
        with closing(restored.services), closing(log_in(restored.url, user)) as http:
            assert [answer.json() for answer in answers(http, paths)] == before
            assert http.get(f"{document}/original").content == PAGE
            assert http.get(f"{upload.headers['Location']}/content").content == PDF
