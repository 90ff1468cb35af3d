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
