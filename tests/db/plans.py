"""Query plans, as the databases explain them."""

from tests.support.statements import recorded_statements


def plan(database, query):
    """Run `query(session)`; return the query plan of its last statement as text."""
    return _explain(database, *_sent(database, query)[-1])


def plans(database, query):
    """Run `query(session)`; return the query plans of its statements that read or write tables, as text."""
    return [
        _explain(database, statement, parameters)
        for statement, parameters in _sent(database, query)
        if "\nFROM " in statement or statement.startswith("UPDATE ")
    ]


def _sent(database, query):
    with recorded_statements(database.engine) as sent:
        database.read(query)
    return sent


def _explain(database, statement, parameters):
    explain = "EXPLAIN QUERY PLAN " if database.engine.dialect.name == "sqlite" else "EXPLAIN "
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql(explain + statement, parameters).all()
    return "\n".join(" ".join(map(str, row)) for row in rows).lower()
