"""The services of a process: opened on first use, started together, closed by their builder."""

import threading

import pytest

from db.tables import DeploymentKind, User
from service.config.settings import load
from service.domain.reviews.missed import Missed
from service.domain.services import activated_model, build_services
from service.domain.webhooks.sender import WebhookSender
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.pipeline import Submission
from tests.domain.conftest import END, SENTENCE, START, TEXT
from tests.fakes.analyzer import IdleAnalyzer
from tests.support.artifacts import NAME, VERSION
from tests.support.waiting import PATIENCE_S, wait_until

DEFAULT, NEW = f"{NAME}/{VERSION}", f"{NAME}/2.0.0"


@pytest.fixture
def analyzer():
    return IdleAnalyzer(NAME, VERSION)


@pytest.fixture
def services(config, registry_dir, analyzer):
    """The services of a process that shares an analyzer."""
    config = config.model_copy(update={"registry_dir": registry_dir})
    with build_services(config, analyzers=AnalyzerPool(analyzer)) as services:
        yield services


def test_started_services_are_ready_and_scan(services, user):
    services.open()
    services.start()
    wait_until(lambda: not services.readiness.report().faults)
    scan = services.scans.create(user.id, Submission(text="All is well."), key=None).scan
    assert (scan.model_name, scan.n_findings) == (NAME, 0)


def test_metrics_show_the_models_in_use(services, deploy):
    deploy(NEW, kind=DeploymentKind.SHADOW, share=0.5)
    services.open()
    services.start()
    wait_until(lambda: not services.readiness.report().faults)
    text = services.metrics.exposition().decode()
    for role, version in (("serving", VERSION), ("shadow", "2.0.0")):
        assert f'riskscan_model_info{{name="{NAME}",role="{role}",version="{version}"}} 1.0' in text
    assert "riskscan_ready 1.0" in text


def test_close_leaves_shared_analyzers_open(config, analyzer):
    with build_services(config, analyzers=AnalyzerPool(analyzer)) as services:
        services.open()
    assert not analyzer.is_closed


def test_close_waits_for_the_delivery_in_progress_alone_and_closes_the_rest_meanwhile(
    services, user, queue_events
):
    urls, may_answer = [], threading.Event()

    def post(url, *_args, **_options):
        urls.append(url)
        may_answer.wait(PATIENCE_S)
        return 200

    services.webhook_sender = WebhookSender(
        services.transactions, services.webhook_secrets, services.webhook_destinations, post=post
    )
    queue_events(user, n_events=3)
    services.open()
    services.start()
    wait_until(lambda: urls)
    closing = threading.Thread(target=services.close)
    closing.start()
    wait_until(lambda: "egress" not in {thread.name for thread in threading.enumerate()})
    may_answer.set()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert len(urls) == 1


def test_services_of_a_remote_analyzer_have_no_rollout(config):
    remote = load({"AI_SERVICE_URL": "http://127.0.0.1:9", "DATABASE_URL": config.database_url})
    with build_services(remote) as services:
        assert services.rollout is None


def test_services_without_a_statement_limit_read_the_same_database(config, user):
    with build_services(config, limit_statements=False) as services:
        row = services.transactions.read(lambda session: session.get(User, user.id))
    assert row.email == user.email


def test_missed_risk_is_verified_by_the_text_that_the_pipeline_reads(services, scan, user):
    missed = Missed(START, END, SENTENCE, ("outage",))
    document = Submission(text=TEXT)
    assert services.reviews.report_missed(user, scan.id, missed, document=document)[0].verified


def test_activated_model_is_none_without_a_database_and_creates_none(tmp_path):
    path = tmp_path / "absent.db"
    assert activated_model(load({"DATABASE_URL": f"sqlite:///{path}"})) is None
    assert not path.exists()


def test_activated_model_is_the_last_that_was_activated(config, deploy):
    assert activated_model(config) is None
    deploy(NEW, DEFAULT)
    assert activated_model(config) == DEFAULT
