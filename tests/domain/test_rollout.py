"""A process follows the stored deployments; a faulty model leaves the serving one in place."""

import pytest

from db.tables import DeploymentKind
from service.config.settings import load
from service.domain.audit import Actor
from service.domain.deployments.deployments import Deployments
from service.domain.deployments.rollout import Rollout
from service.domain.deployments.shadow import Shadow
from service.domain.transactions import Transactions, open_database
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.artifacts.registry import Registry
from tests.fakes.analyzer import IdleAnalyzer
from tests.support.artifacts import NAME, SHIPPED, VERSION, damage
from tests.support.waiting import wait_until

DEFAULT, NEW, OTHER = f"{NAME}/{VERSION}", f"{NAME}/2.0.0", f"{NAME}/3.0.0"


@pytest.fixture
def pool():
    """The analyzers of a process that has loaded the shipped model."""
    pool = AnalyzerPool(IdleAnalyzer(NAME, VERSION))
    yield pool
    pool.close()


@pytest.fixture
def shadow(transactions):
    shadow = Shadow(transactions)
    yield shadow
    shadow.close()


@pytest.fixture
def rollout(config, transactions, pool, registry_dir, shadow):
    """A rollout that reads deployments only when a test calls or wakes it."""
    config = config.model_copy(update={"model_poll_s": 3600})
    rollout = Rollout(config, transactions, lambda: pool, Registry(registry_dir, SHIPPED), shadow)
    yield rollout
    rollout.close()


def serving(pool):
    return f"{pool.default.model_name}/{pool.default.model_version}"


def test_follow_without_a_deployment_keeps_the_default(rollout, pool):
    rollout.follow()
    assert (serving(pool), rollout.faults, rollout.shadowing) == (DEFAULT, {}, None)


def test_follow_an_activation_and_a_rollback_keeps_both_models_open(rollout, pool, deploy):
    default = pool.default
    deploy(NEW)
    rollout.follow()
    assert serving(pool) == NEW
    deploy(DEFAULT, kind=DeploymentKind.ROLLBACK)
    rollout.follow()
    assert pool.default is default
    assert not default.is_closed


def test_follow_a_damaged_model_keeps_the_serving_one_until_the_next(
    rollout, pool, deploy, registry_dir
):
    damage(registry_dir, NEW)
    deploy(NEW)
    rollout.follow()
    assert serving(pool) == DEFAULT
    assert "weights.safetensors" in rollout.faults[NEW]
    deploy(OTHER)
    rollout.follow()
    assert (serving(pool), rollout.faults) == (OTHER, {})


def test_follow_a_model_with_other_content_is_a_fault(rollout, pool, deploy):
    deploy(NEW, manifest_sha256="0" * 64)
    rollout.follow()
    assert serving(pool) == DEFAULT
    assert "than the one that was deployed" in rollout.faults[NEW]


def test_follow_an_absent_model_is_a_fault(rollout, deploy):
    deploy(f"{NAME}/9.0.0")
    rollout.follow()
    assert "There is no model" in rollout.faults[f"{NAME}/9.0.0"]


def test_follow_a_shadow_until_it_ends(rollout, pool, deploy):
    deploy(NEW, kind=DeploymentKind.SHADOW, share=0.5)
    rollout.follow()
    assert (serving(pool), rollout.shadowing) == (DEFAULT, NEW)
    deploy(None, kind=DeploymentKind.SHADOW_OFF)
    rollout.follow()
    assert rollout.shadowing is None


def test_follow_an_activation_of_the_shadow_ends_the_shadowing(rollout, deploy):
    deploy(NEW, kind=DeploymentKind.SHADOW, share=1.0)
    deploy(NEW)
    rollout.follow()
    assert rollout.shadowing is None


def test_follow_without_a_schema_keeps_the_serving_model(
    config, pool, registry_dir, shadow, tmp_path
):
    empty = load({"DATABASE_URL": f"sqlite:///{tmp_path}/empty.db"})
    transactions = Transactions(open_database(empty, pool_size=1))
    Rollout(config, transactions, lambda: pool, Registry(registry_dir, SHIPPED), shadow).follow()
    assert serving(pool) == DEFAULT
    transactions.close()


def test_wake_makes_a_started_rollout_follow(rollout, pool, deploy):
    assert rollout.serving == ""
    rollout.start()
    assert rollout.serving == DEFAULT
    deploy(NEW)
    rollout.wake()
    wait_until(lambda: rollout.serving == NEW)
    assert serving(pool) == NEW


def test_activation_in_this_process_wakes_its_rollout(config, transactions, registry_dir, rollout):
    rollout.start()
    deployments = Deployments(config, transactions, Registry(registry_dir, SHIPPED), rollout)
    deployments.activate(NEW, actor=Actor(operator="cli:root"), why="Tried before.", force=True)
    wait_until(lambda: rollout.serving == NEW)
    overview = deployments.overview().as_dict()
    assert (overview["serving"], overview["serving_here"]) == (NEW, NEW)
