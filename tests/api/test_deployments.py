"""Models are listed, shadowed, activated and rolled back over HTTP while scans continue."""

import concurrent.futures
import logging
import shutil
import threading
from contextlib import ExitStack

import pytest
from sqlalchemy import delete

from db.tables import Deployment, ShadowTotal
from service.config.settings import load
from service.domain.deployments import rollout as rollouts
from service.domain.services import build_services
from tests.api.conftest import SETTINGS, serve
from tests.support.artifacts import (
    NAME,
    SHIPPED,
    VERSION,
    damage,
    logit,
    make_artifact,
    pass_gate,
    temperature_of,
)
from tests.support.calls import caller
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

DEFAULT = f"{NAME}/{VERSION}"
WHY = "The customer asked for it."
MANY_SENTENCES = " ".join(f"Ship number {n} may miss its deadline." for n in range(60))


@pytest.fixture(scope="module")
def registry_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for version, sharpness in {"2.0.0": 1.3, "3.0.0": 0.8}.items():
        make_artifact(folder, version, sharpness=sharpness)
    make_artifact(folder, "6.6.6", sharpness=3.0, is_honest=False)
    damage(folder, make_artifact(folder, "7.7.7"))
    return folder


@pytest.fixture(scope="module")
def start_own(tmp_path_factory):
    """Start services with their own models that follow the deployments."""
    stack = ExitStack()

    def start(database_url, registry_dir):
        config = load(
            {
                **SETTINGS,
                "DATABASE_URL": database_url,
                "DATA_DIR": str(tmp_path_factory.mktemp("data")),
                "REGISTRY_DIR": str(registry_dir),
                "INFERENCE_THREADS": "1",
            }
        )
        return serve(build_services(config), stack)

    with stack:
        yield start


@pytest.fixture(scope="module")
def service(start_own, database_url, registry_dir):
    return start_own(database_url, registry_dir)


@pytest.fixture
def live(service, registry_dir):
    """The service before the first deployment."""
    yield service
    parts = service.services
    for table in (Deployment, ShadowTotal):
        parts.transactions.run(lambda s, table=table: s.execute(delete(table)))
    parts.rollout.follow()
    assert parts.rollout.serving == DEFAULT
    for record in registry_dir.glob("*/*.gate.json"):
        record.unlink()


def deploy(admin, model, **body):
    body = {"kind": "activate", "model": model, **body}
    return admin.http.post("/api/v1/admin/deployments", json=body)


def force(admin, model):
    answer = deploy(admin, model, force=True, why=WHY)
    assert answer.status_code == 201, answer.text
    wait_until_serving(admin, model)
    return answer.json()


def roll_back(admin):
    return admin.http.post("/api/v1/admin/deployments", json={"kind": "rollback"})


def listed(admin):
    return admin.http.get("/api/v1/admin/models").raise_for_status().json()


def wait_until_serving(admin, model):
    wait_until(lambda: listed(admin)["serving_here"] == model)


def states(admin):
    return {f"{i['name']}/{i['version']}": i["state"] for i in listed(admin)["items"]}


def model_of(user, scan_id):
    scan = user.http.get(f"/api/scans/{scan_id}").json()
    return f"{scan['model_name']}/{scan['model_version']}"


def test_models_are_listed_with_state_metrics_and_faults(admin):
    overview = listed(admin)
    items = {i["version"]: i for i in overview["items"] if i["name"] == NAME}
    assert list(items) == [VERSION, "2.0.0", "3.0.0", "6.6.6", "7.7.7"]
    assert {v: i["state"] for v, i in items.items() if i["state"] != "available"} == {
        VERSION: "serving"
    }
    value, low, high = items["2.0.0"]["metrics"]["risk_f1"]
    assert 0 < low < value < high < 1
    assert "was altered" in items["7.7.7"]["faults"][0]
    assert items[VERSION]["faults"] == []
    assert overview["serving"] == overview["serving_here"] == DEFAULT


def test_activate_model_that_passed_the_gate_serves_it(admin, registry_dir):
    pass_gate(registry_dir, f"{NAME}/2.0.0", against=DEFAULT)
    deployed = deploy(admin, f"{NAME}/2.0.0", why="Better by two points.")
    assert deployed.status_code == 201
    wait_until_serving(admin, f"{NAME}/2.0.0")
    assert model_of(admin, admin.scan().json()["scan_id"]) == f"{NAME}/2.0.0"
    assert states(admin)[DEFAULT] == "previous"
    [stored] = admin.http.get("/api/v1/admin/deployments").json()["items"]
    assert (stored["n"], stored["from_model"], stored["actor"]) == (1, DEFAULT, admin.id)
    assert stored["metrics"]["figures"] == {"mean_f1": {"value": 0.02}}
    assert (stored["why"], stored["forced"]) == ("Better by two points.", False)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (None, "never measured"),
        ({"against": f"{NAME}/3.0.0"}, f"but {DEFAULT} serves"),
        ({"manifest_sha256": "0" * 64}, "differs from the one in the registry"),
        ({"passed": False, "reasons": ("Loses 5 points of Legal.",)}, "Loses 5 points of Legal."),
    ],
    ids=["no record", "other opponent", "other content", "refused"],
)
def test_activate_model_without_passed_gate_is_409_with_the_reason(
    admin, registry_dir, gate, message
):
    model = f"{NAME}/2.0.0"
    if gate is not None:
        pass_gate(registry_dir, model, **{"against": DEFAULT, **gate})
    answer = deploy(admin, model)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert message in answer.json()["errors"][0]["message"]
    assert listed(admin)["serving"] == DEFAULT


def test_activate_with_force_requires_a_reason_of_ten_characters(admin):
    answer = deploy(admin, f"{NAME}/2.0.0", force=True, why="because")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "why"
    assert deploy(admin, f"{NAME}/2.0.0", force=True, why=WHY).json()["forced"] is True


def test_activate_serving_model_is_409_and_unknown_model_404(admin):
    assert deploy(admin, DEFAULT, force=True, why=WHY).status_code == 409
    assert deploy(admin, f"{NAME}/9.9.9", force=True, why=WHY).status_code == 404
    assert deploy(admin, "../../etc/passwd", force=True, why=WHY).status_code == 404


@pytest.mark.parametrize(
    ("version", "message"), [("6.6.6", "golden scores"), ("7.7.7", "was altered")]
)
def test_activate_model_that_fails_verification_is_rejected_even_if_forced(admin, version, message):
    answer = deploy(admin, f"{NAME}/{version}", force=True, why=WHY)
    assert answer.status_code == 409
    assert message in answer.json()["detail"]
    assert listed(admin)["serving_here"] == DEFAULT
    assert admin.http.get("/api/v1/admin/deployments").json()["items"] == []


def test_rollback_repeated_returns_step_by_step_to_the_first_model(admin):
    force(admin, f"{NAME}/2.0.0")
    force(admin, f"{NAME}/3.0.0")
    assert roll_back(admin).json()["to_model"] == f"{NAME}/2.0.0"
    wait_until_serving(admin, f"{NAME}/2.0.0")
    assert roll_back(admin).json()["to_model"] == DEFAULT
    wait_until_serving(admin, DEFAULT)
    assert roll_back(admin).status_code == 409


def test_rollback_to_a_model_whose_folder_is_gone_is_409_with_a_remedy(admin, registry_dir):
    model = make_artifact(registry_dir, "2.5.0")
    force(admin, model)
    force(admin, f"{NAME}/3.0.0")
    shutil.rmtree(registry_dir / model)
    answer = roll_back(admin)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert f"{model}, which served before, is not in REGISTRY_DIR" in answer.json()["detail"]
    assert "activate another model" in answer.json()["detail"]
    assert listed(admin)["serving"] == f"{NAME}/3.0.0"


def test_deployments_record_audit_events_and_are_paged(admin):
    force(admin, f"{NAME}/2.0.0")
    roll_back(admin)
    events = admin.http.get("/api/admin/audit-events").json()["items"]
    recorded = [e for e in events if e["object_type"] == "deployment"][:2]
    assert [e["action"] for e in recorded] == ["model.rolled_back", "model.activated"]
    assert (recorded[1]["user_id"], recorded[1]["detail"]["to"]) == (admin.id, f"{NAME}/2.0.0")
    first = admin.http.get("/api/v1/admin/deployments?per_page=1").json()
    rest = admin.http.get(f"/api/v1/admin/deployments?before={first['next_before']}").json()
    assert [d["kind"] for d in first["items"] + rest["items"]] == ["rollback", "activate"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "activate"},
        {"kind": "promote", "model": DEFAULT},
        {"kind": "rollback", "model": DEFAULT},
        {"kind": "activate", "model": DEFAULT, "unknown": 1},
    ],
)
def test_deployment_with_faulty_body_is_400(admin, body):
    assert admin.http.post("/api/v1/admin/deployments", json=body).status_code == 400


@pytest.mark.system
def test_activate_ten_times_under_load_drops_and_mixes_no_scan(admin, registry_dir):
    """Each scan's scores are those of the model that it names, and readiness never fails."""
    models = [f"{NAME}/2.0.0", f"{NAME}/3.0.0", DEFAULT]
    alone, among_others = FLOW_TEXT, f"{FLOW_TEXT}\n\n{MANY_SENTENCES}"
    is_over, answers, ready = threading.Event(), {alone: [], among_others: []}, []

    def scan_until_over(text):
        with caller(admin.http.base_url, headers=admin.http.headers) as http:
            while not is_over.is_set():
                answers[text].append(http.post("/api/scan", json={"text": text}))
                ready.append(http.get("/health/ready").status_code)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = [pool.submit(scan_until_over, text) for text in (alone, alone, among_others)]
        try:
            for n in range(10):
                force(admin, models[n % 3])
        finally:
            is_over.set()
    assert [future.exception() for future in running] == [None] * 3
    assert {a.status_code for scans in answers.values() for a in scans} == {201}
    assert set(ready) == {200}
    named = set()
    for scans in answers.values():  # neighbours change a logit, so each text counts for itself
        logits = raw_logits(admin, [a.json()["scan_id"] for a in scans], registry_dir)
        assert max(map(max, logits.values())) - min(map(min, logits.values())) < 0.05, logits
        named |= set(logits)
    assert named == set(models)


def raw_logits(user, scan_ids, registry_dir):
    """By the model that each scan names: the logit, its temperature undone, of the surest finding.

    It is the same whatever the model, unless the scan was scored by another one than it names.
    """
    logits = {}
    for scan_id in scan_ids:
        model = model_of(user, scan_id)
        folder = SHIPPED if model == DEFAULT else registry_dir / model
        items = user.http.get(f"/api/v1/scans/{scan_id}/findings").json()["items"]
        surest = max(f["score"] for f in items if f["context"] == FLOW_TEXT)
        logits.setdefault(model, []).append(logit(surest) * temperature_of(folder))
    return logits


def test_shadow_scores_after_the_response_and_its_counts_add_up(admin, caplog):
    caplog.set_level(logging.INFO, logger="service.domain.deployments.shadow")
    put = {"model": f"{NAME}/3.0.0", "share": 1}
    assert admin.http.put("/api/v1/admin/shadow", json=put).json()["kind"] == "shadow"
    wait_until(lambda: listed(admin)["shadowing_here"] == put["model"])
    for _ in range(3):
        assert admin.scan(f"{FLOW_TEXT}\n\nLunch is at noon.").status_code == 201
    wait_until(lambda: [t["n_scans"] for t in listed(admin)["shadow_totals"]] == [3])
    [total] = listed(admin)["shadow_totals"]
    assert (total["serving"], total["shadow"]) == (DEFAULT, put["model"])
    assert (total["n_sentences"], total["n_dropped"]) == (6, 0)
    assert total["n_agreeing"] >= 3
    assert 0 < total["mean_abs_score_difference"] < 0.3
    assert listed(admin)["shadow"] == {"model": put["model"], "share": 1}
    assert states(admin)[put["model"]] == "shadow"
    lines = [r.fields for r in caplog.records if r.message == "shadow"]
    assert [line["n_sentences"] for line in lines] == [2, 2, 2]
    assert FLOW_TEXT not in caplog.text + str(lines)


def test_shadow_ended_twice_is_accepted(admin):
    put = {"model": f"{NAME}/3.0.0", "share": 1}
    admin.http.put("/api/v1/admin/shadow", json=put).raise_for_status()
    wait_until(lambda: listed(admin)["shadowing_here"] == put["model"])
    for _ in range(2):
        assert admin.http.delete("/api/v1/admin/shadow").status_code == 204
    wait_until(lambda: listed(admin)["shadowing_here"] is None)
    admin.scan()
    assert listed(admin)["shadow"] is None
    assert listed(admin)["shadow_totals"] == []
    kinds = [d["kind"] for d in admin.http.get("/api/v1/admin/deployments").json()["items"]]
    assert kinds == ["shadow_off", "shadow"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": f"{NAME}/3.0.0", "share": 1.1}, 400),
        ({"model": f"{NAME}/3.0.0"}, 400),
        ({"model": DEFAULT, "share": 0.5}, 409),
        ({"model": f"{NAME}/7.7.7", "share": 0.5}, 409),
        ({"model": f"{NAME}/9.9.9", "share": 0.5}, 404),
    ],
)
def test_shadow_with_invalid_model_or_share_is_rejected(admin, body, status):
    assert admin.http.put("/api/v1/admin/shadow", json=body).status_code == status


@pytest.fixture
def start_other(start_own, database_url, tmp_path, monkeypatch):
    """Start a second process on the same database with tmp_path as its registry."""
    monkeypatch.setattr(rollouts, "RETRY_S", 0)
    return lambda: start_own(database_url, tmp_path)


def test_process_without_the_artifact_serves_the_fallback_until_it_arrives(
    admin, start_other, registry_dir, tmp_path, caplog
):
    model = f"{NAME}/2.0.0"
    force(admin, model)
    other = start_other()
    with caller(other.url, headers=admin.http.headers) as http:
        assert http.get("/health/ready").status_code == 200
        overview = http.get("/api/v1/admin/models").json()
        assert (overview["serving"], overview["serving_here"]) == (model, DEFAULT)
        [faults] = [i["faults"] for i in overview["items"] if i["version"] == "2.0.0"]
        assert "no model" in faults[0]
        assert f"NOT taken over; {DEFAULT} continues to serve" in caplog.text
        shutil.copytree(registry_dir / model, tmp_path / model)
        other.services.rollout.follow()
        assert http.get("/api/v1/admin/models").json()["serving_here"] == model


def test_process_with_other_content_of_the_model_does_not_serve_it(admin, start_other, tmp_path):
    force(admin, f"{NAME}/2.0.0")
    make_artifact(tmp_path, "2.0.0", sharpness=1.1)
    other = start_other().services.rollout
    assert other.serving == DEFAULT
    assert "another" in other.faults[f"{NAME}/2.0.0"]


@pytest.mark.system
def test_models_with_ai_service_url_are_409(start_service, database_url, admin):
    url = start_service(DATABASE_URL=database_url, AI_SERVICE_URL="http://127.0.0.1:9").url
    with caller(url, headers=admin.http.headers) as http:
        answer = http.get("/api/v1/admin/models")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert "AI_SERVICE_URL" in answer.json()["detail"]
        assert http.post("/api/v1/admin/deployments", json={"kind": "rollback"}).status_code == 409
