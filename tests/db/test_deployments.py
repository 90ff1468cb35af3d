"""Deployments are numbered and never overtake each other; totals of shadowing add up."""

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


def test_no_deployment_is_number_zero_and_wants_nothing(database):
    assert database.run(deployments.newest_n) == 0
    assert database.run(deployments.desired_state) == deployments.DesiredState(0, None, None)


def test_desired_state_is_the_newest_of_each_kind(database):
    add(
        database,
        values(1),
        values(2, "shadow", to_model="m/3", share=0.1),
        values(3, "rollback", from_model="m/2", to_model="m/1"),
    )
    found = database.run(deployments.desired_state)
    assert (found.n, found.serving.n, found.shadow.n) == (3, 3, 2)
    assert (found.serving.to_model, found.shadow.share) == ("m/1", 0.1)


def test_second_deployment_of_a_number_is_refused(database):
    add(database, values(1))
    with pytest.raises(IntegrityError):
        add(database, values(1, to_model="m/3"))


def test_list_is_newest_first_and_goes_on_before_a_number(database):
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
    found = database.run(deployments.shadow_totals)
    assert {(t.serving, t.shadow, t.n_scans) for t in found} == {
        ("m/1", "m/3", 1),
        ("m/2", "m/3", 1),
    }
