"""Deployments have unique ascending numbers; totals of shadowing add up."""

import threading
from datetime import UTC, datetime

import pytest
import uuid_utils.compat
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from db.queries import deployments
from db.queries.deployments import ShadowCounts
from db.tables import Deployment, ShadowTotal


@pytest.fixture(autouse=True)
def _no_rows(database):
    """These tables are the product's own, not a user's; each test begins with none."""
    yield
    database.run(lambda s: s.execute(delete(Deployment)))
    database.run(lambda s: s.execute(delete(ShadowTotal)))


def values(n, kind="activate", **changed):
    return {
        "id": uuid_utils.compat.uuid7(),
        "n": n,
        "created_at": datetime.now(UTC),
        "kind": kind,
        "from_model": "m/1",
        "to_model": "m/2",
        "manifest_sha256": "0" * 64,
        "share": None,
        "actor": "cli:root",
        "why": None,
        "forced": False,
        "metrics": {"mean_f1": 0.5},
        **changed,
    }


def add(database, *rows):
    for row in rows:
        database.run(lambda s, row=row: deployments.add_deployment(s, row))


def test_wanted_without_a_deployment_is_number_zero_and_no_model(database):
    assert database.run(deployments.newest_n) == 0
    assert database.run(deployments.desired_state) == deployments.DesiredState(0, None, None)


def test_desired_state_is_the_newest_of_each_kind(database):
    add(
        database,
        values(1),
        values(2, "shadow", to_model="m/3", share=0.1),
        values(3, "rollback", from_model="m/2", to_model="m/1"),
    )
    desired = database.run(deployments.desired_state)
    assert (desired.n, desired.serving.n, desired.shadow.n) == (3, 3, 2)
    assert (desired.serving.to_model, desired.shadow.share) == ("m/1", 0.1)


def test_add_deployment_with_a_used_number_is_refused(database):
    add(database, values(1))
    with pytest.raises(IntegrityError):
        add(database, values(1, to_model="m/3"))


def test_list_deployments_is_newest_first_and_continues_before_a_number(database):
    add(database, *(values(n) for n in range(1, 6)))
    first = database.run(lambda s: deployments.list_deployments(s, limit=2))
    rest = database.run(lambda s: deployments.list_deployments(s, limit=9, before_n=4))
    assert [d.n for d in first] == [5, 4]
    assert [d.n for d in rest] == [3, 2, 1]


def test_serving_history_is_oldest_first_without_shadows(database):
    add(database, values(1), values(2, "shadow"), values(3, "rollback"))
    assert [d.n for d in database.run(deployments.serving_history)] == [1, 3]


def test_totals_of_a_pair_add_up_from_many_threads(database):
    counts = ShadowCounts(1, 10, 3, 1, 2, 4, 0.25)

    def shadow_five_scans():
        for _ in range(5):
            database.run(
                lambda s: deployments.add_to_shadow_totals(
                    s, serving="m/1", shadow="m/2", counts=counts
                )
            )

    threads = [threading.Thread(target=shadow_five_scans) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [total] = database.run(deployments.shadow_totals)
    assert (total.n_scans, total.n_sentences, total.n_agreeing) == (15, 150, 45)
    assert (total.n_only_serving, total.n_only_shadow, total.n_dropped) == (15, 30, 60)
    assert total.abs_score_difference == pytest.approx(3.75)


def test_totals_of_pairs_are_kept_apart(database):
    for serving in ("m/1", "m/2"):
        database.run(
            lambda s, serving=serving: deployments.add_to_shadow_totals(
                s, serving=serving, shadow="m/3", counts=ShadowCounts(n_scans=1)
            )
        )
    totals = database.run(deployments.shadow_totals)
    assert {(t.serving, t.shadow, t.n_scans) for t in totals} == {
        ("m/1", "m/3", 1),
        ("m/2", "m/3", 1),
    }
