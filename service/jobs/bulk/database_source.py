"""SOURCE is a database: the rows of a query, read page by page in the order of the ids. Imports no Ray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Engine,
    Select,
    column,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from service.config.database_address import normalize, redact
from service.errors import InvalidRequest, RiskscanError
from service.jobs.bulk.column_values import column_bytes, column_document
from service.jobs.bulk.documents import SourceDocument

_PAGE_BYTES = 4 * 1024 * 1024
"""Aimed at: a page has as many rows as were that long on the page before."""
_FIRST_PAGE, _LONGEST_PAGE = 16, 1_000


@dataclass(frozen=True, slots=True)
class DatabaseSource:
    """The rows of a SELECT, which must be unique in `id_column`.

    Every page is a transaction of its own that may only read: no cursor stays open while the documents are
    scanned.
    """

    url: str = field(repr=False)
    query: str
    id_column: str
    text_column: str
    max_bytes: int

    def check(self) -> None:
        """Raise InvalidRequest if the database cannot be reached, or the query not be read by its ids."""
        with self._errors(InvalidRequest), self._engine().connect() as connection:
            rows, documents = self._rows()
            without_id = select(func.count()).select_from(documents).where(rows[0].is_(None))
            n_without = connection.execute(without_id).scalar_one()
            connection.execute(self._page(None, limit=1)).all()
        if n_without:
            raise InvalidRequest(f"{n_without} rows of --query have no {self.id_column}.")

    def documents(self) -> Iterator[SourceDocument]:
        """Yield the documents; `share` counts rows.

        Raises:
            RiskscanError: the database failed.
        """
        with self._errors(RiskscanError):
            engine = self._engine()
            with engine.connect() as connection:
                count = select(func.count()).select_from(self._rows()[1])
                total = max(1, connection.execute(count).scalar_one())
            n, last, limit = 0, None, _FIRST_PAGE
            while page := self._fetch(engine, last, limit):
                n_bytes = 0
                for key, value in page:
                    n += 1
                    share = min(1.0, n / total)
                    yield column_document(
                        key, value, place=f"row {n}", max_bytes=self.max_bytes, share=share
                    )
                    n_bytes += column_bytes(value)
                last, limit = page[-1][0], _next_limit(len(page), n_bytes)

    def _fetch(self, engine: Engine, last: object, limit: int) -> Sequence[Any]:
        with engine.connect() as connection:
            return connection.execute(self._page(last, limit=limit)).all()

    def _page(self, last: object, *, limit: int) -> Select[Any]:
        columns, _ = self._rows()
        page = select(*columns).order_by(columns[0]).limit(limit)
        return page if last is None else page.where(columns[0] > last)

    def _rows(self) -> tuple[Sequence[Any], Any]:
        """Return the two columns, and the query as a table. As a subquery it can be one SELECT only."""
        plain = self.query.strip().rstrip(";").replace(":", r"\:")  # a colon begins no parameter
        documents = (
            text(f"{plain}\n").columns(column(self.id_column), column(self.text_column))
        ).subquery("documents")
        return (documents.c[self.id_column], documents.c[self.text_column]), documents

    def _engine(self) -> Engine:
        try:
            url = make_url(normalize(self.url))
        except ValueError as error:
            raise InvalidRequest(f"SOURCE {error}.") from None
        if url.get_backend_name() == "sqlite":
            return _sqlite_engine(Path(str(url.database)))
        engine = create_engine(url, poolclass=NullPool)
        statement = {
            "mysql": "SET SESSION TRANSACTION READ ONLY",
            "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        }[url.get_backend_name()]
        event.listen(engine, "connect", lambda opened, _: _execute(opened, statement))
        return engine

    @contextmanager
    def _errors(self, kind: type[RiskscanError]) -> Iterator[None]:
        """Map failures of the database; their messages name the query's fault, never the password."""
        try:
            yield
        except SQLAlchemyError as error:
            fault = getattr(error, "orig", None) or error
            message = str(fault).partition("\n")[0][:300]
            raise kind(f"The database {redact(self.url)} refuses --query: {message}") from None


def _sqlite_engine(path: Path) -> Engine:
    address = f"sqlite:///file:{path.resolve()}?mode=ro&uri=true"
    return create_engine(address, poolclass=NullPool)


def _execute(connection: Any, statement: str) -> None:  # noqa: ANN401 - a driver's own connection
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.commit()


def _next_limit(n_rows: int, n_bytes: int) -> int:
    return max(1, min(_LONGEST_PAGE, _PAGE_BYTES * n_rows // max(1, n_bytes)))
