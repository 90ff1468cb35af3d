"""`users`: creates, lists, changes, disables and deletes accounts."""

import json
import zipfile

from db.queries.audit import list_events
from db.queries.users import list_users
from db.tables import Role


def test_users_create_set_role_and_disable_show_in_the_list(riskscan):
    emails = ["root@corp.local", f"{'long' * 15}@corp.local"]
    for email in emails:
        riskscan("users", "create", email, "--reviewer", stdin="long enough\n")
    assert "has the role admin" in riskscan("users", "set-role", emails[0], "admin").stdout
    riskscan("users", "disable", emails[1])
    accounts = [
        json.loads(line) for line in riskscan("users", "list", "--json").stdout.splitlines()
    ]
    roles = {a["email"]: (a["role"], a["disabled_at"] is None) for a in accounts}
    assert roles == {emails[0]: ("admin", True), emails[1]: ("reviewer", False)}
    refused = riskscan("users", "disable", emails[0])
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "last enabled administrator" in refused.stderr


def test_users_list_on_80_columns_wraps_and_cuts_no_address(riskscan):
    email = f"{'long' * 15}@corp.{'internal.' * 5}local"
    riskscan("users", "create", email, stdin="long enough\n")
    lines = riskscan("users", "list", COLUMNS="80").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert email in "".join(
        line.rsplit("\u2502", 2)[1].strip() for line in lines if "\u2502" in line
    )


def test_users_create_with_a_short_password_names_the_minimum(riskscan):
    result = riskscan("users", "create", "root@corp.local", stdin="short\n")
    assert result.returncode == 1
    assert "7" in result.stderr


def test_users_create_admin_stores_an_admin_and_an_event(riskscan, services):
    result = riskscan("users", "create", "root@corp.local", "--admin", stdin="long enough\n")
    assert result.returncode == 0, result.stderr
    pair = services.accounts.log_in("root@corp.local", "long enough")
    [user] = services.transactions.read(list_users)
    assert (user.id, user.role) == (pair.user_id, Role.ADMIN)
    events = services.transactions.run(lambda session: list_events(session, limit=9))
    assert [event.action for event in events] == ["user.logged_in", "user.registered"]


def test_users_reset_password_reads_it_from_standard_input(riskscan, services):
    riskscan("users", "create", "a@corp.local", stdin="long enough\n")
    result = riskscan("users", "reset-password", "a@corp.local", stdin="another one\r\n")
    assert "has a new password" in result.stdout
    assert services.accounts.log_in("a@corp.local", "another one")


def test_users_delete_asks_first_and_then_deletes(riskscan, services):
    riskscan("users", "create", "a@corp.local", stdin="long enough\n")
    assert riskscan("users", "delete", "a@corp.local", stdin="n\n").returncode == 1
    assert len(services.transactions.read(list_users)) == 1
    assert "is deleted" in riskscan("users", "delete", "A@corp.local", stdin="y\n").stdout
    assert services.transactions.read(list_users) == []


def test_users_delete_of_an_unknown_address_names_it(riskscan):
    refused = riskscan("users", "delete", "a@corp.local", "--yes")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "a@corp.local" in refused.stderr


def test_users_invite_prints_the_path_of_a_link(riskscan):
    result = riskscan("users", "invite", "new@corp.local", "--role", "analyst")
    assert "Invited analyst new@corp.local" in result.stdout
    assert "\n/password#" in result.stdout
    [account] = map(json.loads, riskscan("users", "list", "--json").stdout.splitlines())
    assert (account["role"], account["state"]) == ("analyst", "invited")


def test_users_export_writes_an_archive_that_only_the_operator_reads(riskscan, tmp_path):
    riskscan("users", "create", "ada@corp.local", stdin="long enough\n")
    out = tmp_path / "ada.zip"
    done = riskscan("users", "export", "ada@corp.local", "--out", out)
    assert (done.returncode, out.stat().st_mode & 0o777) == (0, 0o600)
    with zipfile.ZipFile(out) as archive:
        assert json.loads(archive.read("account.json"))["email"] == "ada@corp.local"
    refused = riskscan("users", "export", "ada@corp.local", "--out", tmp_path / "none" / "a.zip")
    assert (refused.returncode, "none/a.zip" in refused.stderr) == (1, True)
