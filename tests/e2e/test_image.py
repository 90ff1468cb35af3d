"""The built image serves the documented flow on MariaDB or MySQL, and loads a new model from its registry.

`RISKSCAN_TEST_IMAGE=riskscan:cpu pytest tests/e2e/test_image.py`; RISKSCAN_TEST_ENGINE replaces docker.
"""

import contextlib
import json

import pytest

from tests.api.test_flow import curl
from tests.e2e.container import Container, engine, image
from tests.support.artifacts import NAME, VERSION, make_artifact
from tests.support.calls import HTTP
from tests.support.databases import fresh_database
from tests.support.documents import docx_of, pdf_of_pages
from tests.support.office_files import archive, presentation_of, workbook_of
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

PASSWORD = "test123"
MAX_BYTES = 650_000_000


@contextlib.contextmanager
def running(*arguments, **settings):
    started = Container(*arguments, **settings)
    try:
        yield started
    finally:
        started.remove()


@pytest.fixture(scope="module")
def database_url(tmp_path_factory):
    image()
    with fresh_database("mysql", tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture(scope="module")
def container(database_url):
    with running(DATABASE_URL=database_url, REGISTRATION="open") as started:
        yield started.when_ready()


@pytest.fixture(scope="module")
def administrator(container):
    container.service("users", "create", "boss@corp.local", "--admin", stdin=f"{PASSWORD}\n")
    return log_in(container, "boss@corp.local")


def log_in(container, email):
    form = f"username={email}&password={PASSWORD}"
    status, answer = curl("-X", "POST", f"{container.url}/api/auth/login", "-d", form)
    assert status == 200
    return ("-H", f"Authorization: Bearer {answer['access_token']}")


def test_image_size_is_below_the_limit():
    assert int(engine("image", "inspect", "--format={{.Size}}", image())) < MAX_BYTES


@pytest.mark.parametrize("command", [["db", "upgrade"], ["check"]], ids=" ".join)
def test_arguments_are_a_command_of_the_service(database_url, command):
    with running(*command, DATABASE_URL=database_url) as started:
        status, output = started.ends()
    assert status == 0, output


def test_worker_that_a_broker_wakes_starts(database_url, redis_url):
    with running("worker", DATABASE_URL=database_url, BROKER_URL=redis_url) as worker:
        worker.when_ready()


def test_packages_of_traces_are_in_the_image(container):
    exporter = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    engine("exec", container.name, "python", "-c", f"import opentelemetry.sdk.trace, {exporter}")


def test_documented_flow_in_the_container_works(container):
    body = json.dumps({"email": "test@test.com", "password": PASSWORD})
    json_type = ("-H", "Content-Type: application/json")
    status, _ = curl("-X", "POST", f"{container.url}/api/auth/register", *json_type, "-d", body)
    assert status == 201
    token = log_in(container, "test@test.com")
    text = f"text={FLOW_TEXT}"
    status, scan = curl("-X", "POST", f"{container.url}/api/scan", *token, "-F", text)
    assert (status, scan["source"]) == (201, "model")
    assert sorted(item["category"] for item in scan["data"]) == ["Budget", "Schedule"]
    status, stored = curl(f"{container.url}/api/scans/{scan['scan_id']}", *token)
    assert (status, stored["data"]) == (200, scan["data"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", pdf_of_pages([[FLOW_TEXT]])),
        ("a.docx", docx_of([FLOW_TEXT])),
        ("a.html", f"<p>{FLOW_TEXT}</p>".encode()),
        ("a.csv", f"note\n{FLOW_TEXT}\n".encode()),
        ("a.md", f"# Note\n\n{FLOW_TEXT}\n".encode()),
        ("a.eml", f"Subject: Note\n\n{FLOW_TEXT}\n".encode()),
        ("a.zip", archive(("a.txt", FLOW_TEXT.encode()))),
        ("a.xlsx", workbook_of(FLOW_TEXT)),
        ("a.pptx", presentation_of(FLOW_TEXT)),
    ],
    ids=["pdf", "docx", "html", "csv", "md", "eml", "zip", "xlsx", "pptx"],
)
def test_each_format_is_read_in_the_container(container, administrator, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    document = ("-F", f"file=@{tmp_path / name}")
    status, scan = curl(f"{container.url}/api/scan", *administrator, *document)
    assert (status, len(scan["data"])) == (201, 2)


def test_process_can_write_only_to_its_data_and_tmp(container):
    probe = "import os, pathlib\nfor folder in ('/app', '/app/registry', '/app/var', '/tmp'):\n"
    probe += "    print(os.access(folder, os.W_OK))"
    output = engine("exec", container.name, "python", "-c", probe)
    assert output.split() == ["False", "False", "True", "True"]
    status = engine("exec", container.name, "grep", "-E", "^(Uid|CapEff)", "/proc/self/status")
    assert status.split()[:2] == ["Uid:", "10001"]
    assert status.split()[-1] == "0" * 16


def test_model_copied_into_the_registry_can_be_activated(container, administrator, tmp_path):
    new = make_artifact(tmp_path, "9.0.0", sharpness=1.3)
    container.copy(f"{tmp_path}/.", "/app/registry")
    why = "Tried on last year's documents."
    container.service("models", "activate", new, "--force", "--why", why)
    key, _, value = administrator[1].partition(": ")

    def serving():
        answer = HTTP.get(f"{container.url}/api/v1/admin/models", headers={key: value})
        return answer.json()["serving_here"]

    wait_until(lambda: serving() == new, container.logs)
    container.service("models", "rollback")
    wait_until(lambda: serving() == f"{NAME}/{VERSION}", container.logs)
