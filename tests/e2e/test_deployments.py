"""All processes load an activated model by themselves, and start with it."""

import shutil

import pytest

from tests.e2e.test_start_and_stop import log_in
from tests.support.artifacts import NAME, VERSION, make_artifact, pass_gate
from tests.support.calls import HTTP, caller
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

DEFAULT, NEW = f"{NAME}/{VERSION}", f"{NAME}/2.0.0"
WHY = "Tried on last year's documents."


@pytest.fixture
def settings(tmp_path):
    """Settings of processes that share a registry; it has one model besides the shipped one."""
    make_artifact(tmp_path / "models", "2.0.0", sharpness=1.3)
    return {"REGISTRY_DIR": str(tmp_path / "models"), "MODEL_POLL_S": "1", "OMP_NUM_THREADS": "1"}


def serving(process):
    """Scan a text and return the model that scored it."""
    with caller(process.url, headers=log_in(process.url)) as client:
        return model_of_scan(client)


def model_of_scan(client):
    scan = client.post("/api/scan", json={"text": FLOW_TEXT})
    assert scan.status_code == 201
    stored = client.get(f"/api/scans/{scan.json()['scan_id']}").json()
    return f"{stored['model_name']}/{stored['model_version']}"


def wait_until_serving(process, model):
    wait_until(lambda: serving(process) == model, lambda: "\n".join(process.lines))


def test_activation_and_rollback_by_command_reach_two_processes(riskscan, start, settings):
    processes = [start(**settings), start(**settings)]
    assert [serving(p) for p in processes] == [DEFAULT, DEFAULT]
    done = riskscan("models", "activate", NEW, "--force", "--why", WHY, **settings)
    assert done.returncode == 0, done.stderr
    assert f"activate {NEW} (before: {DEFAULT}, forced)" in done.stdout
    for process in processes:
        wait_until_serving(process, NEW)
    assert riskscan("models", "rollback", **settings).returncode == 0
    for process in processes:
        wait_until_serving(process, DEFAULT)


def test_activation_reaches_all_processes_behind_one_port(riskscan, start, settings):
    process = start(**settings, WEB_PROCESSES="2")
    wait_until(lambda: "2 of 2" in HTTP.get(f"{process.url}/health/ready").text)
    headers = log_in(process.url)
    with (
        caller(process.url, headers=headers) as first,
        caller(process.url, headers=headers) as second,
    ):
        clients = (first, second)  # they connect to different processes
        assert [model_of_scan(client) for client in clients] == [DEFAULT, DEFAULT]
        done = riskscan("models", "activate", NEW, "--force", "--why", WHY, **settings)
        assert done.returncode == 0, done.stderr
        for client in clients:
            wait_until(lambda client=client: model_of_scan(client) == NEW)


def test_process_starts_with_the_active_model_or_falls_back_without_it(
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


def test_start_without_the_database_serves_the_fallback_model(start, settings):
    away = {"DATABASE_URL": "mysql+pymysql://root@127.0.0.1:9/none", "AI_SERVICE_OPEN": "true"}
    process = start(ready=False, **settings, **away)
    process.wait_until("/health/ready", 503)
    answer = HTTP.post(f"{process.url}/scan", json={"text": FLOW_TEXT})
    assert (answer.status_code, answer.json()["source"]) == (200, "model")
