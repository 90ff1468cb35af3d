"""Settings of a user whose company's model has two hundred categories."""

import pytest

from service.domain.audit import Actor
from tests.support.own_taxonomy import MODEL, WIDE, make_own_artifact
from tests.support.waiting import wait_until

SETTINGS = "/api/v1/settings"
OPERATOR = Actor(operator="cli:root")


@pytest.fixture
def live(start_service, tmp_path):
    make_own_artifact(tmp_path, WIDE)
    live = start_service(REGISTRY_DIR=str(tmp_path), INFERENCE_THREADS="1")
    rollout, deployments = live.services.rollout, live.services.deployments
    deployments.activate(MODEL, actor=OPERATOR, why="Our own risk types.", force=True)
    wait_until(lambda: rollout.serving == MODEL)
    yield live
    deployments.rollback(actor=OPERATOR, why=None)  # other tests share the analyzers
    wait_until(lambda: rollout.serving != MODEL)


def test_thresholds_of_every_category_are_stored(user):
    chosen = dict.fromkeys(WIDE.category_titles, 0.5)
    assert user.http.put(SETTINGS, json={"thresholds": chosen}).json()["thresholds"] == chosen
    assert user.http.get(SETTINGS).json()["thresholds"] == chosen


def test_many_unknown_categories_get_a_short_answer(user):
    unknown = {f"no-{n}": 0.5 for n in range(500)}
    refused = user.http.put(SETTINGS, json={"thresholds": unknown})
    assert (refused.status_code, len(refused.json()["errors"])) == (400, 50)
    assert "and 150 more" in refused.json()["detail"]
    assert len(refused.content) < 100_000
