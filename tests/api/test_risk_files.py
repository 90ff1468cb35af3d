"""The risk register as a workbook: export, change, import."""

import io
import re
import secrets
import zipfile
from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
import xlsxwriter
from openpyxl import Workbook
from sqlalchemy import update

from db.queries import teams, users
from db.tables import Risk, User
from service.domain.risks.importing import import_risks
from service.domain.risks.register_file import COLUMNS
from service.domain.risks.sheet import read_sheet
from service.errors import InvalidRequest
from tests.api.risk_register import RISKS, created, exported, get, id_of, listed
from tests.db.conftest import servers
from tests.support.office_files import with_bomb
from tests.support.traced_memory import traced


def workbook(*rows):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def excel_workbook(*rows):
    """Return a workbook that refers to its texts by number, as Excel writes it."""
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True, "default_date_format": "d.m.yy"}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return data.getvalue()


def repacked(data, method=zipfile.ZIP_DEFLATED, change=lambda _, part: part):
    """Return a workbook whose entries are compressed by `method`, after `change` of name and content."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as book, zipfile.ZipFile(packed, "w", method) as copy:
        for name in book.namelist():
            copy.writestr(name, change(name, book.read(name).decode()))
    return packed.getvalue()


def sent(user, data, **query):
    file = {"file": ("risks.xlsx", data)}
    return user.http.post(f"{RISKS}/import", files=file, params=query)


@pytest.mark.every_database
def test_exported_risks_are_changed_in_a_spreadsheet_and_imported(user):
    created(user, title="=1+1", due_on="2027-03-31")
    created(user, title="stays")
    rows = exported(user)
    header = rows[0]
    changed = next(row for row in rows if row[2] == "=1+1")
    changed[header.index("Impact")] = 5
    changed[2] = "one"
    new = dict.fromkeys(header) | {"Title": "new", "Likelihood": "1", "Owner": user.email}
    result = sent(user, workbook(*rows, [*new.values()])).raise_for_status().json()
    counts = {"n_created": 1, "n_changed": 1, "n_unchanged": 1}
    assert result == {**counts, "errors": [], "ignored_columns": []}
    assert set(listed(user)) == {"one", "stays", "new"}
    assert listed(user, impact=5) == ["one"]
    [row] = [row for row in exported(user, impact=5) if row[2] == "one"]
    assert row[header.index("Due on")] == "2027-03-31"


@pytest.fixture
def colleagues(admin, user, new_user):
    """Two members of a team, and its id."""
    other = new_user()
    name = {"name": f"Team {secrets.token_hex(4)}"}
    team = admin.http.post("/api/v1/teams", json=name).raise_for_status().json()["id"]
    for one in (user, other):
        admin.http.put(f"/api/v1/teams/{team}/members/{one.id}").raise_for_status()
    return user, other, team


@pytest.fixture
def large_team(live, colleagues):
    """A member of a team, another one behind 500 members in the order of addresses, and the team's id."""
    user, _, team = colleagues

    def add(session, name):
        values = {"password_hash": "none", "role": "user"}
        member = users.add_user(session, email=f"{name}-{team}@corp.local", **values)
        teams.add_member(session, UUID(team), member.id)
        return member.email

    def fill(session):
        return [add(session, f"{n:03}") for n in range(500)] + [add(session, "zoe")]

    return user, live.services.transactions.run(fill)[-1], team


def test_every_member_of_a_large_team_may_own_its_risks(large_team):
    user, last, team = large_team
    owners = user.http.get(f"{RISKS}/owners", params={"team": team}).raise_for_status().json()
    assert {user.email, last} <= {owner["email"] for owner in owners["items"]}
    risk = created(user, team_id=team)
    header, row = exported(user)
    row[header.index("Owner")] = last.upper()
    assert sent(user, workbook(header, row)).raise_for_status().json()["n_changed"] == 1
    assert get(user, risk)["owner"] == last


@pytest.mark.every_database
@pytest.mark.parametrize("address", ["a_x0000_@corp.local", "a_xD800_@corp.local", "a" * 255])
def test_owner_that_no_database_stores_is_an_error_of_its_cell(colleagues, address):
    user, _, team = colleagues
    created(user, team_id=team)
    header, row = exported(user)
    row[header.index("Owner")] = "ADDRESS"
    data = repacked(workbook(header, row), change=lambda _, part: part.replace("ADDRESS", address))
    refused = sent(user, data)
    assert refused.status_code == 400, refused.text
    assert [error["field"] for error in refused.json()["errors"]] == ["row 2, Owner"]


@pytest.mark.every_database
def test_unchanged_rows_of_others_are_imported_and_a_changed_one_is_named(colleagues):
    user, other, team = colleagues
    created(user, title="theirs", team_id=team, due_on="2027-03-31", description="two\nlines")
    created(other, title="own", team_id=team)
    rows = exported(other)
    by_title = {row[2]: row for row in rows}
    impact = rows[0].index("Impact")
    by_title["own"][impact] = 5
    result = sent(other, workbook(*rows)).raise_for_status().json()
    assert (result["n_created"], result["n_changed"], result["n_unchanged"]) == (0, 1, 1)
    assert result["errors"] == []
    by_title["theirs"][impact] = 5
    refused = sent(other, workbook(*rows))
    assert refused.status_code == 400
    number = rows.index(by_title["theirs"]) + 1
    assert [error["field"] for error in refused.json()["errors"]] == [f"row {number}, Id"]


def test_texts_of_an_export_are_imported_as_they_were(user):
    text = "two\r\nlines _x000D_ \x0b\uffff"
    created(user, title="odd", description=text, mitigation=text)
    data = user.http.get(f"{RISKS}/export").raise_for_status().content
    result = sent(user, data).raise_for_status().json()
    assert (result["n_unchanged"], result["n_changed"], result["errors"]) == (1, 0, [])
    [header, row] = exported(user)
    row[header.index("Id")] = None
    sent(user, workbook(header, row)).raise_for_status()
    items = user.http.get(RISKS).raise_for_status().json()["items"]
    assert [item["mitigation"] for item in items] == [text, text]


def test_values_are_imported_as_excel_stores_them(user):
    header, text = ["Title", "Mitigation", "Impact", "Due on"], "two\r\nlines _x000D_"
    rows = ([2027, text, 4, date(2027, 3, 31)], ["late", "", "2", "2027-04-01"])
    result = sent(user, excel_workbook(header, *rows)).raise_for_status().json()
    assert (result["n_created"], result["errors"]) == (2, [])
    items = user.http.get(RISKS).raise_for_status().json()["items"]
    assert {
        tuple(item[n] for n in ("title", "mitigation", "impact", "due_on")) for item in items
    } == {
        ("2027", text, 4, "2027-03-31"),
        ("late", "", 2, "2027-04-01"),
    }


def test_row_after_thousands_of_empty_rows_is_imported(user):
    data = excel_workbook(["Title"], *[[]] * 3_000, ["far below"])
    assert sent(user, data, dry_run="true").raise_for_status().json()["n_created"] == 1


@pytest.mark.every_database
def test_category_of_an_earlier_model_stays_in_an_unchanged_row(user, live):
    risk_id = id_of(created(user, title="old"))
    earlier = (
        update(Risk).where(Risk.id == UUID(risk_id)).values(category="earlier", risk_type="gone")
    )
    live.services.transactions.run(lambda session: session.execute(earlier) and None)
    rows = exported(user)
    result = sent(user, workbook(*rows)).raise_for_status().json()
    assert (result["n_unchanged"], result["errors"]) == (1, [])
    rows[1][rows[0].index("Impact")] = 5
    assert sent(user, workbook(*rows)).raise_for_status().json()["n_changed"] == 1
    assert exported(user)[1][rows[0].index("Category")] == "earlier"


HEADER = ["Id", "Version", "Title", "Likelihood", "Impact", "State", "Due on", "Owner", "Team"]


@pytest.mark.every_database
def test_import_with_errors_stores_nothing_and_a_dry_run_lists_them(user):
    risk_id = id_of(created(user, title="mine"))
    data = workbook(
        HEADER,
        [None, None, "good", 1, 1, "open", None, None, None],
        [None, None, None, 9, "x", "done", "soon", None, "Nobody's"],
        ["not an id", None, "a"],
        ["00000000-0000-0000-0000-000000000000", None, "not mine"],
        [risk_id, 7, "stale"],
        [None, None, "=1+1"],
        [None, None, "b", None, None, None, None, "stranger@corp.local"],
    )
    result = sent(user, data, dry_run="true").raise_for_status().json()
    errors = {(error["row"], error["field"]) for error in result["errors"]}
    faulty = {(3, name) for name in ("Title", "Likelihood", "Impact", "State", "Due on", "Team")}
    assert errors == faulty | {(4, "Id"), (5, "Id"), (6, "Id"), (7, "Title"), (8, "Owner")}
    assert result["n_created"] == 1
    refused = sent(user, data)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert len(refused.json()["errors"]) == len(errors)
    assert listed(user) == ["mine"]


def test_version_is_checked_also_if_it_is_a_text_and_else_an_error(user):
    risk_id = id_of(created(user, title="mine"))
    sent(user, workbook(["Id", "Impact"], [risk_id, 5])).raise_for_status()
    for stale, field in (("1", "Id"), (1, "Id"), ("one", "Version"), (2.5, "Version")):
        data = workbook(["Id", "Version", "Impact"], [risk_id, stale, 1])
        errors = sent(user, data, dry_run="true").raise_for_status().json()["errors"]
        assert [error["field"] for error in errors] == [field]
    data = workbook(["Id", "Version", "Impact"], [risk_id, "2", 1])
    assert sent(user, data).raise_for_status().json()["n_changed"] == 1


class InterruptedRows(list):
    """Rows of a sheet; `meanwhile` runs after their risks were read, before these are locked."""

    def __init__(self, rows, meanwhile):
        super().__init__(rows)
        self.steps = iter([lambda: None, meanwhile])

    def __iter__(self):
        next(self.steps, lambda: None)()
        return super().__iter__()


@servers
def test_change_between_reading_and_locking_a_risk_is_not_overwritten(user, live):
    risk = created(user)
    [header, row] = exported(user)
    row[header.index("Impact")] = 5
    sheet = read_sheet(workbook(header, row))
    headers = {"If-Match": user.http.get(risk).headers["ETag"]}
    rows = InterruptedRows(
        sheet.rows, lambda: user.http.patch(risk, json={"impact": 1}, headers=headers)
    )
    parts = live.services
    account = parts.transactions.read(lambda session: session.get(User, UUID(user.id)))
    with pytest.raises(InvalidRequest, match="has errors"):
        import_risks(
            parts.transactions, account, replace(sheet, rows=rows), parts.taxonomy, is_dry_run=False
        )
    assert get(user, risk)["impact"] == 1


def test_dry_run_without_errors_stores_nothing(user):
    data = workbook(["Title"], ["good"])
    result = sent(user, data, dry_run="true").raise_for_status().json()
    assert (result["n_created"], result["errors"]) == (1, [])
    assert listed(user) == []


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_import_names_the_columns_that_it_ignores(user, dry_run):
    header = ["Title", "Due", None, "Rating", "x" * 101]
    data = workbook(header, ["Fire", "31.12.2026", "-", 9])
    result = sent(user, data, dry_run=dry_run).raise_for_status().json()
    assert result["ignored_columns"] == ["Due", "x" * 100]
    assert (result["n_created"], result["errors"]) == (1, [])


def test_sheet_without_the_column_of_titles_is_refused_by_its_name(user):
    data = workbook(["Risk", "Likelihood"], ["Fire", 3])
    result = sent(user, data, dry_run="true").raise_for_status().json()
    assert [(error["row"], error["field"]) for error in result["errors"]] == [(2, "Title")]
    assert "names no column Title" in result["errors"][0]["message"]
    assert result["ignored_columns"] == ["Risk"]


def test_file_that_is_no_workbook_or_too_large_is_refused(user):
    assert sent(user, b"PK\x03\x04 no").json()["code"] == "unreadable_document"
    assert sent(user, b"").json()["code"] in {"unreadable_document", "invalid_request"}
    assert sent(user, b"x" * (2 * 1024 * 1024 + 1)).status_code == 413
    many = workbook(["Title"], *(["x"] for _ in range(2001)))
    assert sent(user, many).status_code == 413
    assert sent(user, workbook(["Nothing known"])).status_code == 400
    assert sent(user, workbook(["Title", "Title"], ["x", "y"])).status_code == 400


def hostile(rows, n_sheets=1):
    """Return a workbook of some kilobytes: rows below the title, and a sheet that is listed many times."""

    def change(name, part):
        if name == "xl/worksheets/sheet1.xml":
            part = re.sub("<dimension .*?/>", "", part)
            return part.replace("</sheetData>", f"{rows}</sheetData>")
        return re.sub("<sheet .*?/>", lambda sheet: sheet[0] * n_sheets, part)

    return repacked(excel_workbook(["Title"]), change=change)


SHARED = f'<row><c r="A2"><f t="shared" si="0">{"A1+" * 100_000}1</f></c></row>'


@pytest.mark.timeout(60)  # without the limits they take minutes
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (hostile(f"<row>{'<c/>' * 1_000_000}</row>"), 413),
        (hostile("<row/>" * 100_000, n_sheets=1_000), 200),
        (hostile(SHARED + '<row><c r="A3"><f t="shared" si="0"/></c></row>' * 1_000), 200),
        (excel_workbook(["Title"], *[["x" * 30_000]] * 1_000), 413),
    ],
    ids=["cells of a row", "sheets", "formulas", "copies of a text"],
)
def test_small_workbook_that_asks_for_much_work_or_memory_costs_little(user, data, status):
    assert len(data) < 50_000
    assert sent(user, data, dry_run="true").status_code == status


def test_longest_export_is_small_enough_to_be_imported():
    rows = ([f"{title} {number}" for title, _ in COLUMNS] for number in range(2_000))
    book = excel_workbook([title for title, _ in COLUMNS], *rows)
    assert len(read_sheet(book).rows) == 2_000


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_part_that_inflates_beyond_its_declared_size_takes_no_memory(user, method):
    data = with_bomb(workbook(["Title"], ["x"]), method)
    with traced() as memory:
        answer = sent(user, data, dry_run="true")
    assert answer.json()["code"] == "unreadable_document"
    assert memory.peak_bytes < 20_000_000


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_workbook_of_an_unusual_compression_is_refused_with_the_remedy(user, method):
    answer = sent(user, repacked(workbook(["Title"], ["x"]), method))
    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable_document")
    assert "Deflate. Copy the rows of the risks into a new workbook" in answer.json()["detail"]
