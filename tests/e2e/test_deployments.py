"""Processes take models over together, by themselves, and start with what was activated."""

import json
import shutil

import pytest

from tests.e2e.test_start_and_stop import log_in
from tests.support.artifacts import NAME, VERSION, make_artifact, pass_gate
from tests.support.calls import HTTP
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

DEFAULT, NEW = f"{NAME}/{VERSION}", f"{NAME}/2.0.0"
WHY = "Tried on last year's documents."


@pytest.fixture
def settings(tmp_path):
    """Settings of processes that share a registry with one more model."""
    make_artifact(tmp_path / "models", "2.0.0", sharpness=1.3)
    return {"REGISTRY_DIR": str(tmp_path / "models"), "MODEL_POLL_S": "1", "OMP_NUM_THREADS": "1"}


def serving(process):
    """The model that scores a scan now; a scan must always succeed."""
    headers = log_in(process.url)
    scan = HTTP.post(
        f"{process.url}/api/scan", json={"text": FLOW_TEXT}, headers=headers, timeout=60
    )
    assert scan.status_code == 201
    path = f"{process.url}/api/scans/{scan.json()['scan_id']}"
    found = HTTP.get(path, headers=headers).json()
    return f"{found['model_name']}/{found['model_version']}"


def wait_until_serving(process, model):
    wait_until(lambda: serving(process) == model, lambda: "\n".join(process.lines))


def test_two_processes_take_over_what_a_command_activates_and_rolls_back(riskscan, start, settings):
    both = [start(**settings), start(**settings)]
    assert [serving(p) for p in both] == [DEFAULT, DEFAULT]
    done = riskscan("models", "activate", NEW, "--force", "--why", WHY, **settings)
    assert done.returncode == 0, done.stderr
    assert f"activate {NEW} (before: {DEFAULT}, forced)" in done.stdout
    for process in both:
        wait_until_serving(process, NEW)
    assert riskscan("models", "rollback", **settings).returncode == 0
    for process in both:
        wait_until_serving(process, DEFAULT)


def test_process_starts_with_what_was_activated_and_falls_back_when_it_is_gone(
    riskscan, start, settings, tmp_path
):
    pass_gate(tmp_path / "models", NEW, against=DEFAULT)
    assert riskscan("models", "activate", NEW, **settings).returncode == 0
    first = start(**settings)
    assert serving(first) == NEW
    first.terminate()
    assert first.exit_status() == 0
    shutil.rmtree(tmp_path / "models" / NEW)
    second = start(**settings)
    assert serving(second) == DEFAULT
    [line] = [line for line in second.lines if "NOT taken over" in line]
    assert '"level": "ERROR"' in line
    assert NEW in line


def test_models_are_listed_with_whole_names_in_80_columns(riskscan, settings):
    riskscan("models", "shadow", NEW, "--share", "0.1", **settings)
    lines = riskscan("models", "list", COLUMNS="80", **settings).stdout.splitlines()
    states = {model: state for model, state, *_ in map(str.split, lines[1:3])}
    assert states == {DEFAULT: "serving", NEW: "shadow"}
    assert all(len(line) <= 80 for line in lines)
    listed = json.loads(riskscan("models", "list", "--json", **settings).stdout)
    assert [item["version"] for item in listed["items"]] == [VERSION, "2.0.0"]
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
    done = riskscan("models", "list", **settings, AI_SERVICE_URL="http://ai.corp.local")
    assert done.returncode == 1
    assert "AI_SERVICE_URL" in done.stderr


def test_database_away_at_start_leaves_the_fallback_serving(start, settings):
    away = {"DATABASE_URL": "mysql+pymysql://root@127.0.0.1:9/none", "AI_SERVICE_OPEN": "true"}
    process = start(ready=False, **settings, **away)
    process.wait_until("/health/ready", 503)
    answer = HTTP.post(f"{process.url}/scan", json={"text": FLOW_TEXT})
    assert (answer.status_code, answer.json()["source"]) == (200, "model")
