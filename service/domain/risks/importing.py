"""Use case of importing risks from a workbook: rows with a known id change risks, others create them.

All rows are stored in one transaction, or none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import risks as queries
from db.tables import RiskState, User
from db.tables.risks import LEAST, MOST
from service.domain import email_addresses
from service.domain.audit import Action, Actor, event, record
from service.domain.risks import risks
from service.domain.risks.risks import NewRisk
from service.domain.risks.sheet import Sheet, SheetRow, row_of
from service.domain.risks.views import RiskView, views
from service.domain.transactions import Transactions
from service.errors import Fault, InvalidRequest, RiskscanError
from service.nlp.taxonomy import Taxonomy, key_named

MAX_TITLE_CHARS = 200
MAX_TEXT_CHARS = 10_000
MAX_ERRORS = 200
"""Errors that an answer lists."""
_RISKS_AT_ONCE = 200
_MAX_DIGITS = 19


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with a row, by its number in the sheet and the title of a column."""

    row: int
    field: str
    message: str


@dataclass(slots=True)
class ImportResult:
    """How many rows create, change or repeat risks, the errors of the others, and the unknown columns."""

    n_created: int = 0
    n_changed: int = 0
    n_unchanged: int = 0
    errors: list[RowError] = field(default_factory=list)
    ignored_columns: Sequence[str] = ()


class _DryRun(Exception):
    """Rolls the transaction back after a dry run."""


def import_risks(
    transactions: Transactions,
    user: User,
    sheet: Sheet,
    taxonomy: Taxonomy,
    *,
    is_dry_run: bool,
) -> ImportResult:
    """Store the rows of a sheet, or with `is_dry_run` only say what storing them would do.

    Raises:
        InvalidRequest: this is no dry run, and some row has an error; nothing was stored.
        DatabaseUnavailable: see Transactions.run.
    """
    result = ImportResult()

    def work(session: Session) -> None:
        nonlocal result
        result = _Import(session, user, taxonomy).run(sheet.rows)
        result.ignored_columns = sheet.ignored_columns
        if is_dry_run:
            raise _DryRun
        if result.errors:
            faults = (Fault(f"row {e.row}, {e.field}", e.message) for e in result.errors)
            message = (
                "Nothing was stored: the file has errors. Correct them, or try dry_run=true first."
            )
            raise InvalidRequest(message, faults=tuple(faults))
        counts = {"n_created": result.n_created, "n_changed": result.n_changed}
        actor = Actor(user.id)
        record(
            session, event(Action.RISKS_IMPORTED, actor=actor, object_type="risks", detail=counts)
        )

    with contextlib.suppress(_DryRun):
        transactions.run(work)
    return result


class _Fault(Exception):
    """A cell has an unusable value; the message names the remedy."""


class _Import:
    def __init__(self, session: Session, user: User, taxonomy: Taxonomy) -> None:
        self._session = session
        self._user = user
        self._taxonomy = taxonomy
        self._present: Mapping[str, RiskView] = {}
        self._teams = {team.name.casefold(): team.id for team in queries.teams_of(session, user.id)}
        self._readers: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
            "Version": ("version", _version),
            "Title": ("title", _text(MAX_TITLE_CHARS, is_required=True)),
            "Description": ("description", _text(MAX_TEXT_CHARS)),
            "Category": ("category", self._category),
            "Risk type": ("risk_type", self._risk_type),
            "Team": ("team_id", self._team),
            "Likelihood": ("likelihood", _scale),
            "Impact": ("impact", _scale),
            "Due on": ("due_on", _day),
            "Mitigation": ("mitigation", _text(MAX_TEXT_CHARS)),
            "State": ("state", _state),
            "Owner": ("owner", _text(email_addresses.MAX_CHARS)),
        }

    def run(self, rows: Sequence[SheetRow]) -> ImportResult:
        """Store each row until MAX_ERRORS have errors."""
        result = ImportResult()
        self._present = self._read_present(rows)
        for row in rows:
            errors = self._store(row, result)
            result.errors += errors
            if len(result.errors) >= MAX_ERRORS:
                break
        return result

    def _read_present(self, rows: Sequence[SheetRow]) -> Mapping[str, RiskView]:
        """Return the risks that rows name and the user sees, by id."""
        present: dict[str, RiskView] = {}
        ids = [*filter(None, map(_known_id, rows))]
        for start in range(0, len(ids), _RISKS_AT_ONCE):
            some = ids[start : start + _RISKS_AT_ONCE]
            found = queries.visible_among(self._session, self._user.id, some)
            present |= {str(view.id): view for view in views(self._session, found)}
        return present

    def _store(self, row: SheetRow, result: ImportResult) -> list[RowError]:
        errors = [
            RowError(row.number, title, "A formula is not evaluated; write its value.")
            for title in row.formulas
        ]
        row = self._changed_cells(row)
        values: dict[str, Any] = {}
        for title, (name, read) in self._readers.items():
            if title in row.values and title not in row.formulas:
                try:
                    values[name] = read(row.values[title])
                except _Fault as fault:
                    errors.append(RowError(row.number, title, str(fault)))
        if errors:
            return errors
        try:
            self._apply(row, values, result)
        except _Fault as fault:
            return [RowError(row.number, "Id", str(fault))]
        except InvalidRequest as error:
            return [RowError(row.number, fault.field, fault.message) for fault in error.faults]
        except RiskscanError as error:
            return [RowError(row.number, "Id", error.message)]
        return []

    def _changed_cells(self, row: SheetRow) -> SheetRow:
        """Return a row without the cells that still have what an export writes into them.

        The model may no longer know their category, and their team may have lost the user. Version stays: the
        risk may change before it is locked.
        """
        if (present := self._present.get(str(row.values.get("Id")))) is None:
            return row
        cells = row_of(present)
        kept = {
            title: value
            for title, value in row.values.items()
            if title in {"Id", "Version"} or value != cells[title]
        }
        return replace(row, values=kept)

    def _apply(self, row: SheetRow, values: dict[str, Any], result: ImportResult) -> None:
        if "owner" in values:
            values["owner_id"] = self._owner(values.pop("owner"), values.get("team_id"), row)
        version = values.pop("version", None)
        risk_id = _id(row.values.get("Id"))
        if risk_id is None:
            if "title" not in values:
                missing = "A new risk needs a title, and row 1 names no column Title."
                raise InvalidRequest(missing, faults=(Fault("Title", missing),))
            given = {name: value for name, value in values.items() if value is not None}
            risks.create_risk(self._session, self._user, NewRisk(**given))
            result.n_created += 1
            return
        values = {k: v for k, v in values.items() if v is not None or k in _MAY_BE_EMPTY}
        if self._has(risk_id, values):
            result.n_unchanged += 1
            return
        before = risks.changeable_risk(self._session, self._user, risk_id).version
        risk = risks.change_risk(
            self._session,
            self._user,
            risk_id,
            values,
            expected=None if version is None else frozenset({version}),
        )
        if risk.version == before:
            result.n_unchanged += 1
        else:
            result.n_changed += 1

    def _has(self, risk_id: UUID, values: Mapping[str, Any]) -> bool:
        """Return whether the user sees this risk, and it has these values already."""
        present = self._present.get(str(risk_id))
        return present is not None and all(
            getattr(present.risk, name) == value for name, value in values.items()
        )

    def _owner(self, text: str, team_id: UUID | None, row: SheetRow) -> UUID | None:
        """Return the id of the owner with this address; None for an empty cell."""
        if not text:
            return None
        address = text.lower()
        if address == self._user.email.lower():
            return self._user.id
        risk_id = _id(row.values.get("Id"))
        present = (
            None if risk_id is None else queries.get_risk(self._session, risk_id, self._user.id)
        )
        if present is not None:
            emails = queries.emails(self._session, [present.owner_id])
            if emails.get(present.owner_id, "").lower() == address:
                return present.owner_id
        if "Team" not in row.values:
            team_id = None if present is None else present.team_id
        owner = queries.member_with_email(self._session, team_id, address) if team_id else None
        if owner is None:
            fault = Fault("Owner", "The owner must be you, or a member of the risk's team.")
            raise InvalidRequest(fault.message, faults=(fault,))
        return owner.id

    def _category(self, value: object) -> str | None:
        return _key(value, self._taxonomy.category_titles, "category")

    def _risk_type(self, value: object) -> str | None:
        return _key(value, self._taxonomy.risk_titles, "risk type")

    def _team(self, value: object) -> UUID | None:
        if value is None:
            return None
        if (team_id := self._teams.get(str(value).casefold())) is None:
            raise _Fault("You are in no team of this name.")
        return team_id


_MAY_BE_EMPTY = {"category", "risk_type", "team_id", "due_on"}


def _id(value: object) -> UUID | None:
    if value is None:
        return None
    try:
        return UUID(str(value))
    except ValueError as error:
        raise _Fault("This is no id; leave the cell empty for a new risk.") from error


def _known_id(row: SheetRow) -> UUID | None:
    """Return the id of a row; None also if it is none, which is reported later."""
    try:
        return _id(row.values.get("Id"))
    except _Fault:
        return None


def _text(most: int, *, is_required: bool = False) -> Callable[[Any], str]:
    def read(value: object) -> str:
        text = "" if value is None else str(value)
        if len(text) > most or (is_required and not text):
            raise _Fault(f"A text of {int(is_required)} to {most:,} characters is needed.")
        if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
            raise _Fault("Contains a NUL character or a lone surrogate.")
        return text

    return read


def _version(value: object) -> int | None:
    if value is None:
        return None
    if (number := _whole_number(value)) is None:
        raise _Fault("A whole number is needed, as in the export; or leave the cell empty.")
    return number


def _scale(value: object) -> int | None:
    if value is None:
        return None
    number = _whole_number(value)
    if number is None or not LEAST <= number <= MOST:
        raise _Fault(f"A whole number from {LEAST} to {MOST} is needed.")
    return number


def _whole_number(value: object) -> int | None:
    """Return a whole number, which may be stored as a text; None for any other value."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= _MAX_DIGITS:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _day(value: object) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise _Fault("A date is needed, such as 2027-03-31.") from error


def _state(value: object) -> str | None:
    if value is None:
        return None
    name = str(value).lower()
    if name not in set(RiskState):
        raise _Fault(f"One of {', '.join(RiskState)} is needed.")
    return name


def _key(value: object, titles: Mapping[str, str], noun: str) -> str | None:
    if value is None:
        return None
    name = str(value)
    key = key_named(name, titles)
    if key is None:
        raise _Fault(f"The taxonomy has no {noun} with this key or title.")
    return key
