"""An actor is an account or an operator; events and deployments record either."""

import getpass
from uuid import UUID

import pytest

from service.domain.audit import UNKNOWN, Action, Actor, event

ID = UUID(int=7)


@pytest.mark.parametrize(
    ("actor", "user_id", "detail"),
    [
        (Actor(ID), ID, {"n": 1}),
        (Actor(operator="cli:root"), None, {"operator": "cli:root", "n": 1}),
        (UNKNOWN, None, {"n": 1}),
    ],
)
def test_event_names_the_account_or_the_operator(actor, user_id, detail):
    recorded = event(Action.SCAN_DELETED, actor=actor, object_type="scan", detail={"n": 1})
    assert (recorded.user_id, recorded.detail) == (user_id, detail)


def test_actor_name_is_the_operator_or_the_account_id():
    assert (Actor(ID).name, Actor(operator="cli:root").name) == (str(ID), "cli:root")


def test_current_operator_without_a_user_name_has_the_user_id(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: {}["no such user"])
    name = Actor.current_operator().name
    assert name.startswith("cli:")
    assert name[4:].isdigit()
