"""Teams in Chromium: administrators form them, owners share with them, members read."""

import secrets

import pytest

from db.tables import Role
from service.domain.accounts.user_admin import id_of
from service.domain.audit import Actor
from tests.web.actions import (
    RISKS,
    assert_accessible_in_every_view,
    log_in,
    open_tab,
    shoot,
    sign_up,
    upload,
)
from tests.web.conftest import PASSWORD


def add_member(page, email):
    page.get_by_label("E-mail address of the new member").fill(email)
    page.get_by_role("button", name="Add", exact=True).click()


@pytest.fixture
def team(live):
    """A team with some members, formed as the command line does."""

    def form(*emails):
        name = f"Team {secrets.token_hex(4)}"
        services, actor = live.services, Actor()
        team_id = services.teams.create(name, actor=actor).id
        for email in emails:
            user_id = services.transactions.read(id_of, email)
            services.teams.add_member(team_id, user_id, actor=actor)
        return name

    return form


def test_administrator_forms_renames_and_deletes_a_team(live, new_page, reviewer):
    page, name = new_page(), f"Legal {secrets.token_hex(4)}"
    email = sign_up(new_page(), live.url)
    log_in(page, live.url, reviewer)
    open_tab(page, "Teams")
    page.get_by_placeholder("Name, such as Procurement").fill(name)
    page.get_by_role("button", name="Create").click()
    page.get_by_role("heading", name=f"Members of {name}").wait_for()
    add_member(page, "nobody@corp.local")
    page.get_by_text("No account has the address nobody@corp.local.").wait_for()
    add_member(page, email.upper())
    page.get_by_role("button", name=f"Remove: {email}").wait_for()
    assert_accessible_in_every_view(page, "team-members")
    page.get_by_role("button", name="Close").click()
    page.get_by_placeholder("Name", exact=True).fill(name.upper())
    row = page.get_by_role("row", name=name)
    row.locator("td.num", has_text="1").first.wait_for()
    page.on("dialog", lambda dialog: dialog.accept(f"{name} 2"))
    row.get_by_role("button", name="Rename").click()
    page.get_by_role("row", name=f"{name} 2").wait_for()
    row.get_by_role("button", name="Members").click()
    page.get_by_role("button", name=f"Remove: {email}").click()
    page.get_by_text("No members yet.").wait_for()
    page.get_by_role("button", name="Close").click()
    row.get_by_role("button", name="Delete").click()
    row.wait_for(state="detached")


def test_member_reads_a_shared_document_until_the_owner_ends_the_sharing(live, new_page, team):
    owner, member = new_page(), new_page()
    name = team(sign_up(owner, live.url), sign_up(member, live.url))
    upload(owner, "shared.txt", "\n\n".join(RISKS).encode())
    owner.get_by_role("button", name="Share").click()
    owner.get_by_label(name).check()
    owner.get_by_text(f"Shared with {name}.").wait_for()
    assert_accessible_in_every_view(owner, "share")

    member.get_by_label("Whose scans").select_option("team")
    member.get_by_role("link", name="shared.txt").click()
    member.locator("mark.is-selected").wait_for()
    member.get_by_text("you can read it").wait_for()
    assert member.get_by_role("button", name="Confirm").count() == 0
    assert member.get_by_role("button", name="Share").is_hidden()
    member.keyboard.press("y")
    member.get_by_text("Only the owner and reviewers judge").wait_for()
    shoot(member, "shared")

    owner.get_by_label(name).uncheck()
    owner.get_by_text(f"No longer shared with {name}.").wait_for()
    member.reload()
    member.get_by_role("heading", name="No such scan").wait_for()


def test_team_reviewer_judges_what_is_shared_with_the_team(live, new_page, team):
    owner, page, email = new_page(), new_page(), f"{secrets.token_hex(8)}@corp.local"
    live.services.accounts.register(email, PASSWORD, role=Role.TEAM_REVIEWER)
    name = team(sign_up(owner, live.url), email)
    upload(owner, "shared.txt", RISKS[0].encode())
    owner.get_by_role("button", name="Share").click()
    owner.get_by_label(name).check()
    owner.get_by_text(f"Shared with {name}.").wait_for()
    log_in(page, live.url, email)
    assert page.get_by_label("Whose scans").locator("option").count() == 2
    page.get_by_role("link", name="Review queue").click()
    page.locator(".queue-item").first.wait_for()
    assert page.locator(".queue-item").count() == 1
    page.goto(owner.url)
    page.locator("mark.is-selected").wait_for()
    page.keyboard.press("y")
    page.locator(".finding.is-confirmed").wait_for()


def test_member_downloads_the_files_of_a_shared_session_and_changes_nothing(live, new_page, team):
    owner, member = new_page(), new_page()
    name = team(sign_up(owner, live.url), sign_up(member, live.url))
    owner.goto(f"{live.url}/sessions")
    owner.get_by_label("Name of the new session").fill("Tender")
    owner.get_by_role("button", name="New session").click()
    owner.get_by_role("heading", name="Tender").wait_for()
    file = {"name": "offer.txt", "mimeType": "", "buffer": RISKS[0].encode()}
    owner.locator("#file").set_input_files(file)
    owner.get_by_role("link", name="offer.txt").wait_for()
    owner.get_by_role("button", name="Share").click()
    owner.get_by_label(name).check()
    owner.get_by_text(f"Shared with {name}.").wait_for()
    member.goto(f"{live.url}/sessions")
    member.get_by_label("Whose sessions").select_option("team")
    with member.expect_download() as download:
        member.get_by_role("link", name="offer.txt").click()
    assert download.value.path().read_bytes() == RISKS[0].encode()
    for button in ("Scan", "Delete", "Rename", "Share"):
        assert not any(b.is_visible() for b in member.get_by_role("button", name=button).all())


def test_page_is_for_administrators_and_sharing_needs_a_team(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    assert page.get_by_role("link", name="Teams").count() == 0
    assert page.goto(f"{live.url}/teams").status == 403
    page.goto(live.url)
    upload(page, "notes.txt", RISKS[0].encode())
    page.get_by_role("button", name="Share").click()
    page.get_by_text("You are in no team. Administrators form teams.").wait_for()
