"""Several processes as one: ready if one is, with the sum of their metrics."""

import re

import pytest

from service.domain.health_report import Report
from service.errors import Fault
from service.observability.metrics import Metrics
from service.server.process_group import SILENT_S, ProcessGroup
from service.server.process_messages import encode_report
from tests.server.test_sidecar_process import Clock

READY = Report((), {"database": "answers"}, 0.5)
AWAY = Report((Fault("database", "It is away."),), {}, 0.5)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def group(clock):
    return ProcessGroup(2, clock)


def send(group, process, report, metrics=None):
    snapshot = {"report": encode_report(report)}
    group.receive(process, snapshot | ({"metrics": metrics.plain_values()} if metrics else {}))


def figure(group, name):
    return float(re.search(rf"^{name} (\S+)$", group.exposition().decode(), re.MULTILINE)[1])


def test_group_without_a_process_is_not_ready(group):
    [fault] = group.report().faults
    assert fault.field == "process"
    assert figure(group, "riskscan_ready") == 0


def test_group_with_one_ready_process_is_ready_and_says_how_many(group, clock):
    send(group, 1, READY)
    send(group, 2, AWAY)
    clock.now_s += 0.25
    report = group.report()
    assert report.faults == ()
    assert report.checks == {"database": "answers", "processes": "1 of 2 are ready"}
    assert report.age_s == 0.75
    assert figure(group, "riskscan_web_processes_ready") == 1
    assert figure(group, "riskscan_web_processes") == 2


def test_group_without_a_ready_process_reports_each_fault_once(group):
    send(group, 1, AWAY)
    send(group, 2, AWAY)
    assert group.report().faults == AWAY.faults


def test_silent_process_is_not_ready(group, clock):
    send(group, 1, READY)
    clock.now_s += SILENT_S + 0.1
    assert "hangs" in group.report().message()


def test_ended_process_is_not_ready(group):
    send(group, 1, READY)
    group.end(1)
    assert group.report().faults


def test_draining_group_is_not_ready(group):
    send(group, 1, READY)
    group.drain()
    assert group.report().message() == "The process is shutting down."


def test_restart_of_a_process_lowers_no_counter(group):
    first, second = Metrics(), Metrics()
    first.count_problem("not_found", 3)
    send(group, 1, READY, first)
    group.end(1)
    group.count_restart()
    send(group, 2, READY, second)
    second.count_problem("not_found")
    send(group, 2, READY, second)
    assert figure(group, r'riskscan_http_problems_total\{code="not_found"\}') == 4
    assert figure(group, "riskscan_web_process_restarts_total") == 1
