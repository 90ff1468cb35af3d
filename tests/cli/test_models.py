"""`models`: the registry from the command line."""

import json
import os

import pytest

from tests.support.artifacts import NAME, VERSION, make_artifact

DEFAULT, NEW = f"{NAME}/{VERSION}", f"{NAME}/2.0.0"


@pytest.fixture
def settings(tmp_path):
    """Settings of commands on a registry with one more model."""
    make_artifact(tmp_path / "models", "2.0.0", sharpness=1.3)
    return {"REGISTRY_DIR": str(tmp_path / "models")}


def test_models_verify_accepts_the_shipped_model(riskscan, tmp_path):
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


def test_models_active_with_the_database_down_exits_with_75(riskscan):
    result = riskscan("models", "active", DATABASE_URL="mysql://u:p@127.0.0.1:1/none")
    assert (result.returncode, result.stdout) == (os.EX_TEMPFAIL, "")
    assert "The database does not answer" in result.stderr


def test_models_are_listed_with_whole_names_in_80_columns(riskscan, settings):
    riskscan("models", "shadow", NEW, "--share", "0.1", **settings)
    lines = riskscan("models", "list", COLUMNS="80", **settings).stdout.splitlines()
    states = {model: state for model, state, *_ in map(str.split, filter(None, lines[1:]))}
    assert (states[DEFAULT], states[NEW]) == ("serving", "shadow")
    assert all(len(line) <= 80 for line in lines)
    listed = json.loads(riskscan("models", "list", "--json", **settings).stdout)
    versions = [item["version"] for item in listed["items"] if item["name"] == NAME]
    assert versions == [VERSION, "2.0.0"]
    assert (listed["serving"], listed["shadow"]["share"]) == (DEFAULT, 0.1)


def test_models_commands_tell_what_is_there_and_what_is_refused(riskscan, settings):
    refused = riskscan("models", "activate", NEW, **settings)
    assert refused.returncode == 1
    assert "never measured" in refused.stderr
    short = riskscan("models", "activate", NEW, "--force", "--why", "because", **settings)
    assert "10 characters" in short.stderr
    assert riskscan("models", "shadow", NEW, "--share", "0.1", **settings).returncode == 0
    listed = riskscan("models", "list", **settings).stdout
    assert "serving" in listed
    assert f"Shadow: {NEW}, share 0.1" in listed
    assert "Shadowing ends" in riskscan("models", "shadow", "--off", **settings).stdout
    assert "No model was" in riskscan("models", "shadow", "--off", **settings).stdout
    assert riskscan("models", "shadow", NEW, **settings).returncode == 2
    nothing = riskscan("models", "rollback", **settings)
    assert "no activation to roll back" in nothing.stderr


def test_models_commands_say_when_another_service_analyzes(riskscan, settings):
    result = riskscan("models", "list", **settings, AI_SERVICE_URL="http://ai.corp.local")
    assert result.returncode == 1
    assert "AI_SERVICE_URL" in result.stderr
