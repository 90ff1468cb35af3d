"""Schemathesis over the served document: no 5xx, no undocumented status, every check but one."""

import subprocess
import sys

import pytest

from tests.fakes.chat_server import ChatServer

# The service also rejects what a schema cannot express: a password shorter than the setting, an invalid
# cursor, bytes that are no document. So it may reject data that the schema allows, but never the reverse.
NOT_CHECKED = "positive_data_acceptance"
# Schemathesis does not know the status of RFC 6585 for a missing If-Match; 403 is for other roles.
CONFIG = """
[checks.missing_required_header]
expected-statuses = [400, 403, 428]
"""


@pytest.fixture
def live(start_service, database_url):
    """A service whose LLM answers, so that force_llm has its documented answer."""
    llm = ChatServer()
    yield start_service(DATABASE_URL=database_url, LLM_BASE_URL=llm.base_url, LLM_MODEL="rules")
    llm.close()


# An administrator reaches every table; MariaDB is the strictest about the width of values.
ALL = ("--max-examples=15",)
FEW = ("--phases=examples,fuzzing,stateful", "--max-examples=3")
RUNS = [
    ("mysql", "admin", FEW),
    ("sqlite", "user", FEW),
    pytest.param("mysql", "admin", ALL, marks=pytest.mark.slow),
    pytest.param("sqlite", "user", ALL, marks=pytest.mark.slow),
]


def failures(output):
    """Return the failures in a report, without the warnings after them."""
    return output.partition("= FAILURES =")[2].partition("= WARNINGS =")[0] or output[-6000:]


@pytest.mark.system
@pytest.mark.parametrize(("backend", "role", "amount"), RUNS, indirect=["backend"], scope="session")
def test_service_answers_as_its_openapi_document_says(live, role, amount, request, tmp_path):
    caller = request.getfixturevalue(role)
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{live.url}/openapi.json"),
            f"--header=Authorization: Bearer {caller.tokens['access_token']}",
            # These would end the token; test_auth and test_logins cover them.
            "--exclude-path=/api/v1/auth/logout",
            "--exclude-operation-id=delete_auth_delete_logins",
            "--exclude-operation-id=delete_auth_delete_login",
            f"--exclude-checks={NOT_CHECKED}",
            *amount,
            "--seed=7",
            "--request-timeout=60",
            "--no-color",
        ],
        cwd=tmp_path,  # it leaves a cache behind
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, failures(done.stdout)
    me = caller.http.get("/api/v1/auth/me")
    assert me.status_code == 200, "the token ended, so that most requests got 401"
