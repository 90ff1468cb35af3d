"""Query plans, as the databases explain them."""

from sqlalchemy import event


def statements(database, query):
    """Run `query(session)`; return the statements that it sent, each with its parameters."""
    sent = []

    def record(_conn, _cursor, statement, parameters, *_):
        sent.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", record)
    try:
        database.read(query)
    finally:
        event.remove(database.engine, "before_cursor_execute", record)
    return sent


def plan(database, query):
    """Run `query(session)`; return the query plan of its last statement as text."""
    return _explain(database, *statements(database, query)[-1])


def plans(database, query):
    """Run `query(session)`; return the query plans of its statements that read or write tables, as text."""
    return [
        _explain(database, statement, parameters)
        for statement, parameters in statements(database, query)
        if "\nFROM " in statement or statement.startswith("UPDATE ")
    ]


def _explain(database, statement, parameters):
    explain = "EXPLAIN QUERY PLAN " if database.engine.dialect.name == "sqlite" else "EXPLAIN "
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql(explain + statement, parameters).all()
    return "\n".join(" ".join(map(str, row)) for row in rows).lower()
