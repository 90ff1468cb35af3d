"""`check`: says what an installation lacks, with the remedy, and fails then."""

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from sqlalchemy import update

from db.engines import open_unpooled_engine
from db.tables import AuditEvent
from tests.db.old_rows import ROWS, add_rows
from tests.fakes.index_server import TOKEN, IndexServer


def lines_of(result):
    return {
        line[6:].partition(": ")[0]: (line[:4].strip(), line.partition(": ")[2])
        for line in result.stdout.splitlines()
    }


def test_check_of_a_sound_installation_passes(riskscan):
    assert riskscan("db", "upgrade").returncode == 0
    result = riskscan("check")
    lines = lines_of(result)
    assert (result.returncode, {state for state, _ in lines.values()}) == (0, {"ok"})
    assert "reproduces its golden scores" in lines["model"][1]
    assert "can be written, schema 00" in lines["database"][1]


def test_check_names_the_remedy_of_each_fault(riskscan, tmp_path):
    (tmp_path / "file").write_text("")
    result = riskscan(
        "check",
        DATA_DIR=str(tmp_path / "file"),
        DATABASE_URL="mysql+pymysql://root:secret@127.0.0.1:9/none",
        MODEL_DIR=str(tmp_path / "none"),
        RATE_LIMIT_STORAGE_URL="redis://127.0.0.1:9",
        LLM_BASE_URL="http://127.0.0.1:9/v1",
        LLM_MODEL="small",
        LLM_API_KEY="secret",
    )
    lines = lines_of(result)
    failed = {name for name, (state, _) in lines.items() if state == "FAIL"}
    assert (result.returncode, failed) == (
        1,
        {"data folder", "database", "model", "rate limits", "LLM"},
    )
    assert "set DATA_DIR" in lines["data folder"][1]
    assert "LLM_BASE_URL does not answer" in lines["LLM"][1]
    assert "secret" not in result.stdout + result.stderr


def test_check_before_the_first_start_says_to_upgrade(riskscan):
    lines = lines_of(riskscan("check"))
    assert lines["database"][0] == "FAIL"
    assert "python -m service db upgrade" in lines["database"][1]


def test_check_names_events_without_a_seal(riskscan, services):
    riskscan("users", "create", "a@corp.local", stdin="long enough\n")
    assert lines_of(riskscan("check"))["audit trail"] == ("ok", "no event is sealed yet")
    hours_ago = datetime.now(UTC) - timedelta(hours=2)
    services.transactions.run(lambda s: s.execute(update(AuditEvent).values(created_at=hours_ago)))
    late = riskscan("check")
    assert (late.returncode, lines_of(late)["audit trail"][0]) == (1, "FAIL")
    assert "`python -m service audit seal`" in lines_of(late)["audit trail"][1]
    assert riskscan("audit", "seal").returncode == 0
    assert "1 events are sealed" in lines_of(riskscan("check"))["audit trail"][1]


def test_check_names_an_activated_model_without_its_folder(riskscan, services):
    riskscan("db", "upgrade")
    [(_, [row])] = [rows for rows in ROWS if rows[0] == "deployments"]
    with open_unpooled_engine(services.config.database_url).begin() as connection:
        add_rows(connection, [("deployments", [{**row, "to_model": "b/2"}])])
    state, text = lines_of(riskscan("check"))["activated model"]
    assert (state, text.startswith("b/2 was activated and cannot serve: ")) == ("FAIL", True)


def test_check_compares_the_clock_with_that_of_the_server(riskscan, mysql_url):
    riskscan("db", "upgrade", DATABASE_URL=mysql_url)
    right = lines_of(riskscan("check", DATABASE_URL=mysql_url))["clock"]
    assert right == ("ok", "that of the database agrees")
    wrong = f"{mysql_url}?init_command=SET%20timestamp=1000000000"
    state, text = lines_of(riskscan("check", DATABASE_URL=wrong))["clock"]
    assert (state, "s apart. Synchronize both" in text) == ("FAIL", True)


@pytest.fixture
def llm():
    """An HTTP server; it answers GET /v1/models with `server.status`."""

    class Models(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.status if self.path == "/v1/models" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Models) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "state", "text"),
    [(200, "ok", "small was not asked"), (401, "FAIL", "Correct the key"), (503, "FAIL", "log")],
)
def test_check_calls_the_llm_that_is_configured(riskscan, llm, status, state, text):
    llm.status = status
    url = f"http://127.0.0.1:{llm.server_port}/v1"
    lines = lines_of(riskscan("check", LLM_BASE_URL=url, LLM_MODEL="small"))
    assert lines["LLM"][0] == state
    assert text in lines["LLM"][1]


def test_check_with_llm_off_does_not_call_it(riskscan):
    nowhere = {"LLM_BASE_URL": "http://127.0.0.1:9/v1", "LLM_MODEL": "small"}
    lines = lines_of(riskscan("check", LLM="off", **nowhere))
    assert lines["LLM"][0] == "ok"
    assert "switched off" in lines["LLM"][1]


@pytest.fixture
def index():
    with closing(IndexServer()) as server:
        yield server


@pytest.mark.parametrize(
    ("token", "status", "expected"),
    [
        (TOKEN, None, ("ok", "lists its items")),
        ("wrong", None, ("FAIL", "check INDEXER_TOKEN")),
        (TOKEN, 503, ("FAIL", "answers 503")),
    ],
)
def test_check_calls_the_index_service(riskscan, index, token, status, expected):
    index.status = status
    lines = lines_of(riskscan("check", INDEXER_URL=index.url, INDEXER_TOKEN=token))
    state, text = lines["index service"]
    assert state == expected[0]
    assert expected[1] in text


def test_check_names_an_index_service_that_cannot_be_reached(riskscan):
    lines = lines_of(riskscan("check", INDEXER_URL="http://127.0.0.1:9"))
    assert lines["index service"][0] == "FAIL"
    assert "INDEXER_URL" in lines["index service"][1]
