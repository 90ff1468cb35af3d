"""${message}.

Rule about locks: the service runs during the migration, and a statement that waits for a table blocks every
reader behind it. Add columns as nullable and without a computed default; add a CHECK or a foreign
key as NOT VALID and validate it in a later revision; build indexes without blocking (PostgreSQL
CONCURRENTLY inside autocommit_block(), MySQL ALGORITHM=INPLACE, LOCK=NONE); fill rows in batches of
some thousand. MySQL commits each statement by itself: one revision changes one table, and can be
run again by hand from any statement on. Write the full name of a CHECK as op.f("ck_table_rule"):
the naming convention would double it. An index that begins with a foreign key's columns must have no
other nullable column: MySQL 9.7 would skip rows with a NULL there (see r0005). Import nothing from
db.tables, which changes later; a revision must not.

Rule about old code: in a rolling upgrade the release before still reads and writes while this revision runs
and after it. So expand now, and contract a release later:
- Add tables, indexes, and columns that are nullable or have a server default. Old code writes rows without
  them, so new code reads an empty column as "unknown".
- Neither rename nor retype a column: add another one, let new code write both, fill the old rows in batches,
  read the new one in the release after, and drop the old one in the release after that.
- Add no unique index, foreign key, CHECK or NOT NULL to what old code writes before a release has obeyed it.
- Before new code stores a new value in an old column, such as another state, a release has to read it.
Name the oldest code that runs on the new schema in the revision's id: "0041.from.0038" if the release before
has 0038 as its newest revision. A replica of that release can then start again during the rolling upgrade.
tests/db/test_expanding_migrations.py compares the schemas; a revision that contracts is named there with
the release since which nothing uses what it removes. tests/e2e/test_rolling_upgrade.py runs the old code.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
