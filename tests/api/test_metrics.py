"""GET /metrics as Prometheus sees it: counters move, labels are bounded, no text appears."""

import re
import secrets
from contextlib import ExitStack

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.config.settings import load
from service.domain.services import build_services
from tests.api.conftest import SETTINGS, serve
from tests.fakes.loopback import Reply
from tests.support.calls import HTTP, caller
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import PATIENCE_S, wait_until


@pytest.fixture(scope="module")
def start_own(tmp_path_factory):
    """Start services that open their own analyzers, as `python -m service` does."""
    stack = ExitStack()

    def start(**settings):
        folder = {"DATA_DIR": str(tmp_path_factory.mktemp("data")), "INFERENCE_THREADS": "1"}
        services = build_services(load({**SETTINGS, **folder, **settings}))
        return serve(services, stack)

    with stack:
        yield start


@pytest.fixture(scope="module")
def live(start_own, llm):
    settings = {"LLM_BASE_URL": llm.base_url, "LLM_MODEL": "rules"}
    return start_own(AI_SERVICE_OPEN="true", **settings)


def scraped(client, live):
    """Every series of /metrics with its value, once all answered scans are counted."""
    live.services.background.join()
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text,*/*;q=0.1"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def series(name, /, **labels):
    return (name, *sorted(labels.items()))


def moved(before, after, name, /, **labels):
    key = series(name, **labels)
    return after.get(key, 0.0) - before.get(key, 0.0)


def test_scan_stored_counts_request_stages_findings_and_drift(client, user, live):
    before = scraped(client, live)
    assert user.scan(f"{FLOW_TEXT}. Lunch is at noon.").status_code == 201
    after = scraped(client, live)
    route = {"method": "POST", "route": "/api/v1/scan", "status": "2xx"}
    assert moved(before, after, "riskscan_http_request_duration_seconds_count", **route) == 1
    for stage in ("extract", "segment", "analyze", "store"):
        name = "riskscan_scan_stage_duration_seconds"
        assert moved(before, after, f"{name}_count", stage=stage) == 1
        assert 0 < moved(before, after, f"{name}_sum", stage=stage) < PATIENCE_S
    assert moved(before, after, "riskscan_scans_total", source="model") == 1
    assert moved(before, after, "riskscan_scanned_sentences_total", source="model") == 2
    for category in ("budget", "schedule"):
        labels = {"category": category, "source": "model"}
        assert moved(before, after, "riskscan_findings_total", **labels) == 1
    live.services.drift.refresh()
    assert series("riskscan_drift_index", histogram="category") in scraped(client, live)


def test_scan_not_stored_counts_all_stages_but_the_store(client, live):
    before = scraped(client, live)
    assert client.post("/scan", json={"text": FLOW_TEXT}).status_code == 200
    after = scraped(client, live)
    assert moved(before, after, "riskscan_scans_total", source="model") == 1
    assert moved(before, after, "riskscan_scan_stage_duration_seconds_count", stage="store") == 0


def test_metrics_have_model_version_readiness_and_memory(client, live):
    values = scraped(client, live)
    model = load({}).model_dir
    info = {"role": "serving", "name": model.parent.name, "version": model.name}
    assert values[series("riskscan_model_info", **info)] == 1
    assert values[series("riskscan_model_info", role="llm", name="rules", version="")] == 1
    assert values[series("riskscan_ready")] == 1
    assert 0 <= values[series("riskscan_database_answer_age_seconds")] < PATIENCE_S
    assert values[series("riskscan_http_requests_in_progress")] == 1  # the scrape itself
    assert 10e6 < values[series("process_resident_memory_bytes")] < 100e9


def test_llm_calls_are_counted_by_outcome(client, llm, live):
    before = scraped(client, live)
    body = {"text": FLOW_TEXT, "force_llm": True}
    assert client.post("/scan", json=body).status_code == 200
    llm.say("I could not find any JSON today.")
    assert client.post("/scan", json=body).status_code == 502
    llm.replies.append(Reply(503))
    assert client.post("/scan", json=body).status_code == 503
    after = scraped(client, live)
    for outcome in ("answered", "analyzer_error", "analyzer_unavailable"):
        call = {"upstream": "llm", "outcome": outcome}
        assert moved(before, after, "riskscan_upstream_call_duration_seconds_count", **call) == 1
    assert moved(before, after, "riskscan_scans_total", source="llm") == 1
    for code in ("analyzer_error", "analyzer_unavailable"):
        assert moved(before, after, "riskscan_http_problems_total", code=code) == 1


def test_ai_service_calls_are_counted_by_outcome(start_own, live):
    front = start_own(AI_SERVICE_OPEN="true", AI_SERVICE_URL=live.url)
    with caller(front.url) as http:
        assert http.post("/scan", json={"text": FLOW_TEXT}).status_code == 200
        call = series(
            "riskscan_upstream_call_duration_seconds_count",
            upstream="ai_service",
            outcome="answered",
        )
        assert scraped(http, front)[call] == 1


def test_unknown_paths_methods_and_ids_add_no_series(client, user, live):
    def ask():
        word = secrets.token_hex(8)
        client.get(f"/nonsense/{word}")
        client.request(word.upper(), "/scan")
        client.get(f"/docs/assets/{word}")
        user.http.get(f"/api/v1/scans/{word}")
        user.http.get(f"/api/v1/scans/{secrets.token_hex(16)}")
        user.http.delete(f"/api/scans?{word}={word}")
        client.post("/scan", content=word, headers={"Content-Type": f"text/{word}"})

    ask()
    before = set(scraped(client, live))
    for _ in range(5):
        ask()
    assert set(scraped(client, live)) == before


def test_metrics_contain_no_document_text_and_no_users(client, user):
    word = f"zanzibar{secrets.token_hex(4)}"
    text = f"The supplier {word} may go bankrupt."
    answer = user.http.post("/api/scan", files={"file": (f"{word}.txt", text)})
    assert answer.status_code == 201
    user.http.get(f"/api/v1/scans/{answer.json()['scan_id']}", params={"q": word})
    client.get(f"/{word}")
    shown = client.get("/metrics").text
    secrets_ = [word, "bankrupt", user.email, user.id, answer.json()["scan_id"]]
    assert not [secret for secret in [*secrets_, user.tokens["access_token"]] if secret in shown]
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", shown)


def test_rejection_by_the_http_server_is_counted(client, live):
    before = scraped(client, live)
    too_long = {"X-Long": "a" * 262_200}
    assert HTTP.get(f"{live.url}/health", headers=too_long).status_code == 413
    after = scraped(client, live)
    assert moved(before, after, "riskscan_http_problems_total", code="too_large") == 1


def test_metrics_with_ops_port_are_served_there_only(start_own):
    service = start_own(OPS_PORT="0", AI_SERVICE_OPEN="true")
    with caller(service.url) as http, caller(service.ops_url) as ops:
        assert http.get("/metrics").json()["code"] == "not_found"
        http.post("/scan", json={"text": FLOW_TEXT}).raise_for_status()
        wait_until(lambda: n_scans(ops))
        assert n_scans(ops) == 1


def n_scans(ops):
    try:
        answer = ops.get("/metrics")
    except httpx.TransportError:
        return 0
    match = re.search(r'^riskscan_scans_total{source="model"} (\d+)', answer.text, re.MULTILINE)
    return int(match[1]) if match else 0
