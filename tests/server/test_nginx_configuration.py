"""The shipped nginx configuration agrees with the service: limits, times, forms of errors."""

import re
from pathlib import Path

import pytest

from service.api.http.limits import max_body_bytes
from service.config.settings import load
from service.errors import PROBLEM_TYPES
from service.server import server
from service.server.admission import WAITING_PER_THREAD

TEXT = (Path(__file__).resolve().parents[2] / "service/server/nginx.conf").read_text()
PROBLEMS = re.findall(
    r"""^ +(\w+) +'"title": "(.+?)", "status": (\d+), "detail": """, TEXT, re.MULTILINE
)


def seconds(directive):
    found = re.findall(rf"^ +{directive} (\d+)s;$", TEXT, re.MULTILINE)
    return [int(value) for value in found]


@pytest.mark.parametrize(("code", "title", "status"), PROBLEMS)
def test_problem_is_one_of_the_services_own(code, title, status):
    assert (int(status), title) == PROBLEM_TYPES[code][:2]


def test_every_error_page_has_its_problem():
    pages = re.findall(r"error_page ([\d ]+)(?: =(\d+))? /problems/(\w+);", TEXT)
    assert {(page, status or codes) for codes, status, page in pages} == {
        (code, status) for code, _, status in PROBLEMS
    }


def test_body_limit_is_the_services_own():
    assert f"client_max_body_size {max_body_bytes(load({}))};" in TEXT


def test_proxy_waits_a_minute_longer_than_a_scan_may_take():
    [wait_s] = seconds("proxy_read_timeout")
    assert wait_s >= load({}).ai_timeout_s + 60


def test_proxy_gives_idle_connections_up_before_the_service_does():
    upstream_s, _clients_s = seconds("keepalive_timeout")
    assert upstream_s < server.IDLE_TIMEOUT_S


def test_max_conns_is_below_what_the_service_queues():
    [max_conns] = re.findall(r"max_conns=(\d+);", TEXT)
    assert int(max_conns) < load({}).threads * (1 + WAITING_PER_THREAD)
    assert f"keepalive {max_conns};" in TEXT
