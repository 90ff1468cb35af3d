"""Commands run in this process by click's own runner; tests/e2e starts a few as processes."""

import os
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from service.cli.main import main
from service.config.settings import load
from service.domain.services import build_services


@pytest.fixture
def environ(tmp_path):
    """The environment of a command, whose only setting is a data folder of this test's own."""
    own = {"DATA_DIR": str(tmp_path / "data"), "COLUMNS": "200", "RISKSCAN_ENV_FILE": ""}
    inherited = {"PATH", "HOME", "LANG"}
    return {name: None for name in os.environ if name not in inherited} | own


@pytest.fixture
def riskscan(environ):
    """Run a command with arguments; returns its exit status and both streams."""

    def run(*arguments, stdin="", **settings):
        result = CliRunner().invoke(
            main, [str(a) for a in arguments], input=stdin, env={**environ, **settings}
        )
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return SimpleNamespace(
            returncode=result.exit_code, stdout=result.stdout, stderr=result.stderr
        )

    return run


@pytest.fixture
def services(environ):
    """The services of a process on the commands' database."""
    with build_services(load({"DATA_DIR": environ["DATA_DIR"]})) as services:
        yield services
