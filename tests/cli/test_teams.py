"""`teams`: creates, lists and deletes teams, and changes who is in them."""

import pytest


@pytest.fixture
def email(riskscan):
    riskscan("users", "create", "a@corp.local", stdin="correct horse\n")
    return "a@corp.local"


def members(riskscan):
    return [line.split(maxsplit=1)[1] for line in riskscan("teams", "list").stdout.splitlines()]


def test_teams_are_created_filled_emptied_and_deleted(riskscan, email):
    for name in ("Legal", "Procurement"):
        assert riskscan("teams", "create", name).stdout == f"The team {name} is created.\n"
    riskscan("teams", "add", "procurement", email)
    assert members(riskscan) == ["1 members  Procurement", "0 members  Legal"]
    assert riskscan("teams", "remove", "Procurement", email).returncode == 0
    assert riskscan("teams", "delete", "LEGAL").stdout == "The team Legal is deleted.\n"
    assert members(riskscan) == ["0 members  Procurement"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("create", "LEGAL"), "Another team has this name"),
        (("create", " "), "1 to 100 characters"),
        (("add", "Sales", "a@corp.local"), "no team 'Sales'"),
        (("add", "Legal", "b@corp.local"), "b@corp.local"),
        (("remove", "Legal", "a@corp.local"), "not in this team"),
    ],
)
@pytest.mark.usefixtures("email")
def test_refused_change_names_the_reason(riskscan, arguments, reason):
    riskscan("teams", "create", "Legal")
    refused = riskscan("teams", *arguments)
    assert refused.returncode == 1
    assert reason in refused.stderr
