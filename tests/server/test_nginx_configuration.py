"""The shipped nginx configuration agrees with the service: limits, timeouts, error documents."""

import re
from pathlib import Path

import pytest

from service.api.http.limits import (
    is_upload,
    max_batch_body_bytes,
    max_body_bytes,
    max_upload_body_bytes,
)
from service.api.http.security_headers import security_headers
from service.config.settings import load
from service.problem_types import PROBLEM_TYPES
from service.server.admission import WAITING_PER_THREAD
from service.server.listener import IDLE_TIMEOUT_S

TEXT = (Path(__file__).resolve().parents[2] / "service/server/nginx.conf").read_text()
PROBLEMS = re.findall(
    r"""^ +(\w+) +'"title": "(.+?)", "status": (\d+), "detail": """, TEXT, re.MULTILINE
)


def seconds(directive):
    """Return the values of a directive, in the file's order."""
    values = re.findall(rf"^ +{directive} (\d+)s;$", TEXT, re.MULTILINE)
    return [int(value) for value in values]


@pytest.mark.parametrize(("code", "title", "status"), PROBLEMS)
def test_problem_document_has_the_services_title_and_status(code, title, status):
    assert (int(status), title) == PROBLEM_TYPES[code][:2]


def test_error_pages_and_problem_documents_match():
    pages = re.findall(r"error_page ([\d ]+)(?: =(\d+))? /problems/(\w+);", TEXT)
    assert {(page, status or codes) for codes, status, page in pages} == {
        (code, status) for code, _, status in PROBLEMS
    }


def test_problem_documents_have_the_services_security_headers():
    added = re.findall(r'^ {8}add_header ([\w-]+) "?([^"$]+?)"? always;$', TEXT, re.MULTILINE)
    assert sorted(added) == sorted(security_headers(is_https=True))


def test_body_limit_equals_the_services():
    assert f"client_max_body_size {max_body_bytes(load({}))};" in TEXT


def test_upload_limit_and_paths_equal_the_services():
    locations = re.findall(r"location ~ (\S+) \{\s+client_max_body_size (\d+);", TEXT)
    config, limits = load({}), [int(limit) for _, limit in locations]
    assert limits == [max_upload_body_bytes(config), max_batch_body_bytes(config)]
    pattern = "|".join(pattern for pattern, _ in locations)
    for path in (
        "/api/sessions/x/files",
        "/api/v1/sessions/x/files",
        "/api/batches",
        "/api/v1/batches",
        "/api/v1/batches/x/retry",
        "/api/v1/sessions",
        "/api/scan",
    ):
        assert bool(re.search(pattern, path)) == is_upload("POST", path)


def test_read_timeout_exceeds_the_scan_timeout_by_a_minute():
    [read_timeout_s] = seconds("proxy_read_timeout")
    assert read_timeout_s >= load({}).ai_timeout_s + 60


def test_idle_upstream_connections_close_before_the_service_closes_them():
    upstream_s, _clients_s = seconds("keepalive_timeout")
    assert upstream_s < IDLE_TIMEOUT_S


def test_max_conns_is_below_the_services_queue_limit():
    [max_conns] = re.findall(r"max_conns=(\d+) ", TEXT)
    assert int(max_conns) < load({}).threads * (1 + WAITING_PER_THREAD)
    assert f"keepalive {max_conns};" in TEXT
