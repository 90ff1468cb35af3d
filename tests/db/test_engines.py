"""Engines of SQLite: what several of them, in one process, do to each other's locks."""

import subprocess
import sys

from sqlalchemy import text

from db.engines import open_engine, open_unpooled_engine

INSERT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("INSERT INTO t VALUES (1)")
connection.commit()
connection.close()
"""


def test_opening_a_second_engine_leaves_the_first_ones_locks(tmp_path):
    path = tmp_path / "one.db"
    engine = open_engine(f"sqlite:///{path}", pool_size=1)
    with engine.connect() as connection:
        connection.execute(text("PRAGMA schema_version"))
        connection.rollback()
        with open_unpooled_engine(f"sqlite:///{path}").connect() as other:
            other.execute(text("CREATE TABLE t (a INTEGER)"))
            other.commit()
        assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 0
        connection.rollback()
        # without a lock of ours the first, closing last, would delete the log that this one goes on reading
        for n in (1, 2):
            subprocess.run([sys.executable, "-c", INSERT, path], check=True)
            assert connection.execute(text("SELECT count(*) FROM t")).scalar() == n
            connection.rollback()
    engine.dispose()
