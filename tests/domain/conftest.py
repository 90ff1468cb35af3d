"""Use cases on SQLite with a pipeline of keyword rules: no model, no HTTP, milliseconds a test."""

import os
import secrets
import shutil
from datetime import UTC, datetime

import pytest
import uuid_utils.compat

from db import migrate
from db.queries import deployments, users
from db.queries.audit import list_events
from db.tables import DeploymentKind, Role, Webhook
from service.config.settings import load
from service.domain.batch_bytes import BatchBytes
from service.domain.batch_removal import BatchRemoval
from service.domain.originals import Originals
from service.domain.reviews.reviews import Reviews
from service.domain.scans.scans import Scans
from service.domain.transactions import Transactions, open_database
from service.domain.webhooks import webhooks
from service.nlp.pipeline import Submission
from tests.fakes.pipeline import RulesPipeline
from tests.support.artifacts import NAME, VERSION, make_artifact

TEXT = "The budget is fixed.\nWe have a tight budget and an aggressive deadline.\nAll is well."
SENTENCE = TEXT.split("\n")[1]
START, END = TEXT.index(SENTENCE), TEXT.index(SENTENCE) + len(SENTENCE)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory):
    """An empty SQLite database of the newest schema, which each test copies."""
    path = tmp_path_factory.mktemp("migrated") / "riskscan.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def config(migrated_file, tmp_path):
    """Settings over a database of this test's own."""
    database = shutil.copy(migrated_file, tmp_path / "riskscan.db")
    keys = {"SECRET_KEY": "k" * 32, "JWT_SECRET": "j" * 32}
    return load({**keys, "DATABASE_URL": f"sqlite:///{database}"})


@pytest.fixture
def transactions(config):
    transactions = Transactions(open_database(config, pool_size=2))
    yield transactions
    transactions.close()


@pytest.fixture
def add_user(transactions):
    """Store an account of a role, with a password that nobody knows."""

    def add(role=Role.USER):
        email = f"{secrets.token_hex(8)}@corp.local"
        return transactions.run(users.add_user, email=email, password_hash="none", role=role)

    return add


@pytest.fixture
def deploy(transactions):
    """Store a deployment of each model in turn, without its checks."""

    def store(*models, kind=DeploymentKind.ACTIVATE, **values):
        for model in models:
            transactions.run(_add_deployment, {"kind": kind, "to_model": model, **values})

    return store


def _add_deployment(session, values):
    desired = deployments.desired_state(session)
    own = {
        "id": uuid_utils.compat.uuid7(),
        "n": desired.n + 1,
        "created_at": datetime.now(UTC),
        "from_model": desired.serving.to_model if desired.serving else f"{NAME}/{VERSION}",
        "actor": "cli:root",
        "forced": False,
        "metrics": {},
    }
    deployments.add_deployment(session, own | values)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Two models beside the shipped one, without gate records."""
    folder = tmp_path_factory.mktemp("models")
    for version in ("2.0.0", "3.0.0"):
        make_artifact(folder, version)
    return folder


@pytest.fixture
def registry_dir(models, tmp_path):
    """A registry of this test's own with those models."""
    return shutil.copytree(models, tmp_path / "models", copy_function=os.link)


@pytest.fixture
def user(add_user):
    return add_user()


@pytest.fixture
def events(transactions):
    """Return the actions of the audit trail, newest first."""
    return lambda: [event.action for event in transactions.read(list_events, limit=100)]


@pytest.fixture
def queue_events(transactions):
    """Queue events of a user for a webhook of this address, which nobody has checked."""

    def work(session, user_id, url, n_events):
        values = {"name": "tickets", "url": url, "is_enabled": True, "secret_number": 1}
        own = {"id": uuid_utils.compat.uuid7(), "user_id": user_id, "created_at": datetime.now(UTC)}
        session.add(Webhook(**own, **values))
        for _ in range(n_events):
            webhooks.emit(session, user_id=user_id, event="batch.finished", data={})

    return lambda user, url="https://example.com/hook", *, n_events=1: transactions.run(
        work, user.id, url, n_events
    )


@pytest.fixture
def pipeline():
    return RulesPipeline()


@pytest.fixture
def reported():
    """The ids of the scans that were reported, in order."""
    return []


@pytest.fixture
def originals(transactions, tmp_path):
    return Originals(transactions, tmp_path / "originals", quota_bytes=1_000)


@pytest.fixture
def batch_bytes(transactions, tmp_path):
    return BatchBytes(transactions, tmp_path / "batches")


@pytest.fixture
def batch_removal(transactions, batch_bytes):
    return BatchRemoval(transactions, batch_bytes)


@pytest.fixture
def scans(transactions, pipeline, reported, originals):
    def report(_result, *, duration_s, scan_id):
        assert duration_s >= 0
        reported.append(scan_id)

    return Scans(
        transactions,
        pipeline,
        secret_key="k" * 32,
        keep_original=originals.keeping,
        report=report,
    )


@pytest.fixture
def reviews(transactions, pipeline):
    return Reviews(transactions, pipeline.extract_text)


@pytest.fixture
def scan(scans, user):
    """A stored scan of `user`: finding 1 is a tight budget, finding 2 an aggressive deadline."""
    return scans.create(user.id, Submission(text=TEXT), key=None).scan
