"""Calls that work with batches, and what a user's batches have on disk."""

from sqlalchemy import func, select

from db.tables import AuditEvent, Batch, BatchItem, Scan
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

BATCHES = "/api/v1/batches"


def texts(n, text=FLOW_TEXT):
    """Return the parts of `n` documents that differ."""
    return [("file", (f"{k}.txt", f"Document {k}. {text}".encode())) for k in range(1, n + 1)]


def send(user, parts, headers=None, **fields):
    return user.http.post(BATCHES, data=fields, files=parts, headers=headers)


def sent(user, parts, **fields):
    """Send a batch and return its address."""
    response = send(user, parts, **fields)
    assert response.status_code == 202, response.text
    return response.headers["Location"]


def archive(data, name="papers.zip"):
    return [("archive", (name, data, "application/zip"))]


def get(user, batch):
    return user.http.get(batch).raise_for_status().json()


def items(user, batch, **query):
    return user.http.get(f"{batch}/items", params=query).raise_for_status().json()["items"]


def when(user, batch, state="finished"):
    """Wait until a batch is in a state, and return it."""
    wait_until(lambda: get(user, batch)["state"] == state, lambda: str(get(user, batch)))
    return get(user, batch)


def counts(batch):
    return {
        name.removeprefix("n_"): n
        for name, n in batch.items()
        if name.startswith("n_") and n and name != "n_items"
    }


def stored(services, user_id):
    """Return the numbers of rows that show whether each item was done exactly once."""

    def read(session):
        scans = select(Scan.id).where(Scan.user_id == user_id)
        items = select(BatchItem.scan_id).where(
            BatchItem.user_id == user_id, BatchItem.state == "done"
        )
        created = select(func.count()).where(
            AuditEvent.user_id == user_id, AuditEvent.action == "scan.created"
        )
        return set(session.scalars(scans)), [*session.scalars(items)], session.scalar(created)

    scan_ids, done, n_events = services.transactions.read(read)
    assert len(done) == len(set(done))
    assert set(done) == scan_ids
    assert n_events == len(scan_ids)
    return len(done)


def has_sound_counts(services, batch_id):
    """Compare the counts of a batch with its items."""

    def read(session):
        query = select(BatchItem.state, func.count()).where(BatchItem.batch_id == batch_id)
        found = dict(session.execute(query.group_by(BatchItem.state)).all())
        batch = session.get(Batch, batch_id)
        return found, batch

    found, batch = services.transactions.read(read)
    states = ("waiting", "running", "done", "failed", "cancelled")
    return {s: getattr(batch, f"n_{s}") for s in states} == {s: found.get(s, 0) for s in states}


def kept_bytes(services, user):
    folder = services.config.data_dir / "batches" / user.id.replace("-", "")
    return [path.name for path in folder.glob("??/*")]
