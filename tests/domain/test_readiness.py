"""Readiness is checked in the background; shutdown, database and model have separate faults."""

import threading

import pytest

from db import migrate
from service.config.settings import load
from service.domain.readiness import Readiness
from service.domain.transactions import Transactions, open_database
from service.errors import DatabaseUnavailable
from service.nlp.analyzers.pool import AnalyzerPool
from tests.fakes.analyzer import IdleAnalyzer
from tests.support.waiting import wait_until


@pytest.fixture
def analyzer():
    return IdleAnalyzer()


@pytest.fixture
def draining():
    return threading.Event()


@pytest.fixture
def start(analyzer, draining):
    """Start the checks over a database."""
    started = []

    def start_checks(transactions):
        readiness = Readiness(transactions, AnalyzerPool(analyzer), draining)
        started.append(readiness)
        readiness.start()
        return readiness

    yield start_checks
    for readiness in started:
        readiness.close()


def fields(readiness):
    return [fault.field for fault in readiness.report().faults]


def wait_for(readiness, *expected):
    wait_until(lambda: fields(readiness) == [*expected], lambda: readiness.report().faults)


def test_report_before_the_first_check_has_a_fault(transactions, analyzer, draining):
    readiness = Readiness(transactions, AnalyzerPool(analyzer), draining)
    assert fields(readiness) == ["process"]
    readiness.close()


def test_report_of_a_ready_process_names_the_model(transactions, start):
    readiness = start(transactions)
    wait_for(readiness)
    answer = readiness.report().answer()
    assert answer["checks"] == {"database": "answers", "model": "idle 1.0.0 is verified"}
    assert 0 <= answer["age_s"] < 60


def test_report_of_a_draining_process_names_the_shutdown(transactions, start, draining):
    readiness = start(transactions)
    wait_for(readiness)
    draining.set()
    assert "shutting down" in readiness.report().message()


def test_report_of_a_stopped_model_has_a_fault_until_it_is_ready(transactions, start, analyzer):
    analyzer.ready = False
    readiness = start(transactions)
    wait_for(readiness, "model")
    analyzer.ready = True
    wait_for(readiness)


def test_report_where_another_service_analyzes_says_that_only_a_scan_asks_it(
    transactions, draining
):
    remote = AnalyzerPool(IdleAnalyzer("ai-service", ""))
    readiness = Readiness(transactions, remote, draining)
    readiness.start()
    wait_for(readiness)
    assert "another service analyzes" in readiness.report().checks["model"]
    readiness.close()


class BrokenTransactions:
    """Transactions whose probe fails as nobody expects."""

    def ping(self):
        raise ValueError


def test_report_of_a_probe_that_fails_unexpectedly_is_a_fault_and_the_checks_go_on(start, caplog):
    readiness = start(BrokenTransactions())
    wait_for(readiness, "database")
    assert "log says why" in readiness.report().message()
    wait_until(lambda: caplog.text.count("the database check failed") >= 2)


@pytest.fixture
def empty_database(tmp_path):
    """Transactions over a database without a schema."""
    config = load({"DATABASE_URL": f"sqlite:///{tmp_path}/empty.db"})
    transactions = Transactions(open_database(config, pool_size=1))
    yield transactions
    transactions.close()


def test_report_before_the_upgrade_names_the_command_and_recovers(empty_database, start, tmp_path):
    readiness = start(empty_database)
    wait_for(readiness, "database")
    assert "python -m service db upgrade" in readiness.report().message()
    migrate.upgrade(f"sqlite:///{tmp_path}/empty.db")
    wait_for(readiness)


def test_transactions_before_the_upgrade_are_refused(empty_database):
    with pytest.raises(DatabaseUnavailable, match="python -m service db upgrade"):
        empty_database.run(lambda _session: None)
