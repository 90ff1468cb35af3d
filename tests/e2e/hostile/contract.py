"""Schemathesis over the served document, as four callers; its answers are judged like all others."""

import base64
import json
import re
import subprocess
import sys

from tests.api.test_permissions import TABLE
from tests.e2e.hostile.attempts import Attempt
from tests.e2e.hostile.wire import Answer, Request

CALLERS = ("nobody", "user", "reviewer", "admin")
NO_LOGIN = (("Authorization", "Basic bm9ib2R5"),)
"""Without a header of its own, Schemathesis registers an account and uses its token."""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
OPTIONS = (
    "--exclude-path=/api/v1/auth/logout",
    "--exclude-operation-id=delete_auth_delete_logins",
    "--exclude-operation-id=delete_auth_delete_login",
    f"--checks={CHECKS}",
    "--phases=examples,coverage,fuzzing",
    "--request-timeout=60",
    "--workers=1",
    "--no-color",
    "--continue-on-failure",
    "--report-preserve-bytes",
)
"""The operations left out would end the caller's log-in. One worker: in CPython 3.11, `ast.parse`, which
Hypothesis calls, fails at times if two threads call it at once."""


def check(world, result, folder, *, seed, n_examples):
    """Run Schemathesis as each caller; add its answers and its failures to the result."""
    for name in CALLERS:
        report = folder / f"{name}.har"
        headers = world.actors[name].bearer or NO_LOGIN
        options = [f"--seed={seed}", f"--max-examples={n_examples}", f"--report-har-path={report}"]
        options += [f"--header={key}: {value}" for key, value in headers]
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{world.url}/openapi.json"]
        done = subprocess.run(
            [*command, *options, *OPTIONS], cwd=folder, capture_output=True, text=True, check=False
        )
        if not report.exists():
            result.faults.append(f"schemathesis as {name}: {done.stdout[-2_000:]} {done.stderr}")
            continue
        if done.returncode:
            failures = re.search(r"=+ FAILURES =+(.*)", done.stdout, re.DOTALL)
            text = failures[1] if failures else done.stdout
            result.faults.append(f"schemathesis as {name}: {text[-6_000:]}")
        _add(result, world, name, json.loads(report.read_text()))


def _add(result, world, name, report):
    for entry in report["log"]["entries"]:
        asked, answered = entry["request"], entry["response"]
        types = [h["value"] for h in answered["headers"] if h["name"].lower() == "content-type"]
        body = _body(answered["content"])
        answer = Answer(answered["status"], types[0] if types else "", body)
        request = Request(asked["method"], asked["url"].removeprefix(world.url))
        is_forbidden = _is_forbidden(name, request)
        result.add(Attempt(f"contract {name}", name, request, is_forbidden), answer, world)


def _is_forbidden(name, request):
    """Return whether the table lets no account of this role use the route, whosever object it names."""
    path = request.target.partition("?")[0]
    for (method, route), access in TABLE.items():
        if method == request.method and re.fullmatch(re.sub("<[^>]+>", "[^/]+", route), path):
            return name not in access.callers and (name == "nobody" or access.refusal == 403)
    return False


def _body(content):
    text = content.get("text") or ""
    return (
        base64.b64decode(text)
        if content.get("encoding") == "base64"
        else text.encode("utf-8", "surrogatepass")
    )
