"""Deployments: the gate, rollbacks, shadows, and their records."""

import pytest

from db.queries.audit import list_events
from service.config.settings import load
from service.domain.audit import Actor
from service.domain.deployments.deployments import Deployments, ModelState
from service.errors import Conflict, InvalidRequest, NotFound
from service.nlp.artifacts.registry import Registry, gate_path
from tests.support.artifacts import NAME, SHIPPED, VERSION, damage, make_artifact, pass_gate

DEFAULT, NEW, OTHER = f"{NAME}/{VERSION}", f"{NAME}/2.0.0", f"{NAME}/3.0.0"
OPERATOR = Actor(operator="cli:root")
WHY = "Tried on last year's documents."


@pytest.fixture
def deployments(config, transactions, registry_dir):
    return Deployments(config, transactions, Registry(registry_dir, SHIPPED))


@pytest.fixture
def activate(deployments):
    return lambda model, *, why=None, force=False: deployments.activate(
        model, actor=OPERATOR, why=why, force=force
    )


def test_activate_a_model_that_passed_the_gate_stores_its_figures(
    activate, deployments, registry_dir, transactions
):
    pass_gate(registry_dir, NEW, against=DEFAULT)
    row = activate(NEW)
    assert (row.n, row.kind, row.from_model, row.to_model) == (1, "activate", DEFAULT, NEW)
    assert (row.forced, row.metrics["figures"]) == (False, {"mean_f1": {"value": 0.02}})
    assert deployments.activated() == NEW
    [event] = transactions.read(list_events, limit=9)
    assert (event.action, event.detail["operator"], event.detail["to"]) == (
        "model.activated",
        "cli:root",
        NEW,
    )


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (None, "never measured"),
        ({"manifest_sha256": "0" * 64}, "differs from the one in the registry"),
        ({"against": OTHER}, f"measured against {OTHER}"),
        ({"passed": False, "reasons": ("It finds less.",)}, "It finds less."),
        ({"passed": False}, "without a reason"),
    ],
    ids=["none", "other content", "other rival", "failed", "failed silently"],
)
def test_activate_without_a_passing_gate_is_refused(
    activate, deployments, registry_dir, gate, reason
):
    if gate is not None:
        pass_gate(registry_dir, NEW, **{"against": DEFAULT, **gate})
    with pytest.raises(Conflict, match=reason) as caught:
        activate(NEW)
    assert [fault.field for fault in caught.value.faults] == ["gate"]
    assert deployments.activated() is None


def test_activate_forced_needs_a_reason_and_is_marked(activate):
    with pytest.raises(InvalidRequest, match="10 characters"):
        activate(NEW, why="  because  ", force=True)
    row = activate(NEW, why=WHY, force=True)
    assert (row.forced, row.why) == (True, WHY)


def test_activate_the_serving_model_conflicts(activate):
    with pytest.raises(Conflict, match="serves already"):
        activate(DEFAULT)


@pytest.mark.parametrize("model", ["absent/1.0.0", "../../etc", "x" * 1000])
def test_activate_an_unknown_model_is_not_found(activate, model):
    with pytest.raises(NotFound, match="models list"):
        activate(model)


def test_activate_a_damaged_model_is_refused_even_when_forced(activate, registry_dir):
    damage(registry_dir, NEW)
    with pytest.raises(Conflict, match=r"weights\.safetensors"):
        activate(NEW, why=WHY, force=True)


def test_activate_a_model_that_gives_other_scores_than_its_golden_ones_is_refused(
    activate, registry_dir
):
    model = make_artifact(registry_dir, "4.0.0", sharpness=2.0, is_honest=False)
    with pytest.raises(Conflict, match="golden"):
        activate(model, why=WHY, force=True)


def test_activate_with_an_unreadable_gate_record_is_refused(activate, registry_dir):
    gate_path(registry_dir, NEW).write_text("{")
    with pytest.raises(Conflict, match="ml register"):
        activate(NEW)


def test_rollback_repeated_goes_back_step_by_step_and_then_conflicts(deployments, deploy):
    deploy(NEW, OTHER)
    steps = [deployments.rollback(actor=OPERATOR, why=None) for _ in range(2)]
    assert [(row.from_model, row.to_model) for row in steps] == [(OTHER, NEW), (NEW, DEFAULT)]
    with pytest.raises(Conflict, match="no activation"):
        deployments.rollback(actor=OPERATOR, why=None)


def test_rollback_after_a_new_activation_undoes_it(deployments, deploy):
    deploy(NEW)
    deployments.rollback(actor=OPERATOR, why=None)
    deploy(OTHER)
    assert deployments.rollback(actor=OPERATOR, why=None).to_model == DEFAULT


def test_rollback_to_a_damaged_model_is_refused(deployments, deploy, registry_dir):
    deploy(NEW, OTHER)
    damage(registry_dir, NEW)
    with pytest.raises(Conflict, match=r"weights\.safetensors"):
        deployments.rollback(actor=OPERATOR, why=None)
    assert deployments.activated() == OTHER


def test_shadow_is_stored_with_its_share_and_ends_once(deployments, events):
    row = deployments.shadow(NEW, share=0.25, actor=OPERATOR, why=None)
    assert (row.kind, row.to_model, row.share) == ("shadow", NEW, 0.25)
    assert deployments.end_shadow(actor=OPERATOR).from_model == NEW
    assert deployments.end_shadow(actor=OPERATOR) is None
    assert events() == ["model.shadow_ended", "model.shadowed"]


def test_shadow_of_the_serving_model_conflicts(deployments):
    with pytest.raises(Conflict, match="another model"):
        deployments.shadow(DEFAULT, share=1, actor=OPERATOR, why=None)


def test_overview_gives_each_model_its_state_and_fault(deployments, deploy, registry_dir):
    deploy(NEW)
    damage(registry_dir, OTHER)
    overview = deployments.overview().as_dict()
    states = {f"{item['name']}/{item['version']}": item["state"] for item in overview["items"]}
    assert states == {
        DEFAULT: ModelState.PREVIOUS,
        NEW: ModelState.SERVING,
        OTHER: ModelState.AVAILABLE,
    }
    faulty = [item["version"] for item in overview["items"] if item["faults"]]
    assert (faulty, overview["serving"], overview["shadow"]) == (["3.0.0"], NEW, None)


def test_deployments_in_pages_are_newest_first(deployments, deploy):
    deploy(NEW, OTHER, DEFAULT)
    page = deployments.deployments(limit=2, before_n=None)
    rest = deployments.deployments(limit=2, before_n=page[-1].n)
    assert [row.n for row in [*page, *rest]] == [3, 2, 1]


def test_models_of_another_service_are_managed_there(config, transactions, registry_dir):
    remote = load({"AI_SERVICE_URL": "http://127.0.0.1:9", "DATABASE_URL": config.database_url})
    deployments = Deployments(remote, transactions, Registry(registry_dir, SHIPPED))
    for call in (
        deployments.overview,
        lambda: deployments.activate(NEW, actor=OPERATOR, why=None, force=False),
        lambda: deployments.rollback(actor=OPERATOR, why=None),
        lambda: deployments.end_shadow(actor=OPERATOR),
    ):
        with pytest.raises(Conflict, match="AI_SERVICE_URL"):
            call()
