"""`models`: the registry from the command line."""

import os

from tests.support.artifacts import make_artifact


def test_models_verify_proves_the_shipped_model(riskscan, tmp_path):
    assert "is verified" in riskscan("models", "verify").stdout
    absent = riskscan("models", "verify", tmp_path)
    assert absent.returncode == 1
    assert "manifest.json" in absent.stderr


def test_models_active_prints_the_model_activated_last(riskscan, tmp_path):
    registry = {"REGISTRY_DIR": str(tmp_path / "registry")}
    assert riskscan("models", "active", **registry).stdout == ""
    model = make_artifact(tmp_path / "registry", "2.0.0")
    riskscan("models", "activate", model, "--force", "--why", "For this test.", **registry)
    assert riskscan("models", "active", **registry).stdout == f"{model}\n"


def test_models_active_with_the_database_away_exits_with_75(riskscan):
    done = riskscan("models", "active", DATABASE_URL="mysql://u:p@127.0.0.1:1/none")
    assert (done.returncode, done.stdout) == (os.EX_TEMPFAIL, "")
    assert "The database does not answer" in done.stderr
