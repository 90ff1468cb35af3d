"""Loads a server from a process of its own and says what it answered; clients.py is that process."""

import base64
import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_CLIENTS = Path(__file__).with_name("clients.py")


@dataclass(frozen=True, slots=True)
class Request:
    """A POST."""

    path: str
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Load:
    """What a server answered within the window.

    `answers_per_s` counts a request that began before the window or ended after it by the share of its
    time inside. `server_cores` and `generator_cores` are processor seconds a second, of the whole load.
    """

    answers_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    n_answers: int
    server_cores: float
    generator_cores: float
    samples: list[str]


def json_request(path, content, **headers):
    """Return a POST of JSON."""
    headers = {"Content-Type": "application/json", **headers}
    return Request(path, json.dumps(content).encode(), headers)


def closed_loop(server, requests, options, *, n_clients):
    """Send `requests`, in order, from `n_clients` at once; return the Load after the warm-up.

    Raises:
        RuntimeError: a request failed, or there were too few requests for the time.
    """
    cpu_s, began_s = server.cpu_s(), time.perf_counter()
    seconds = options.warm_s + options.seconds
    found = send(server, requests, options, n_clients=n_clients, seconds=seconds)
    server_cores = (server.cpu_s() - cpu_s) / (time.perf_counter() - began_s)
    if found["ran_out"]:
        raise RuntimeError(f"{server.name} answered all requests before the time was over")
    start_s = found["began_s"] + options.warm_s
    return _load(found, (start_s, start_s + options.seconds), server_cores)


def send(server, requests, options, *, n_clients, seconds=None):
    """Send `requests` for `seconds`, all of them without; return when each began and ended.

    Raises:
        RuntimeError: a request failed.
    """
    plan = {
        "url": server.url,
        "n_clients": n_clients,
        "seconds": seconds,
        "requests": [
            (r.path, r.headers, base64.b64encode(r.body).decode("ascii")) for r in requests
        ],
    }
    found = _carried_out(plan, options.python_of("load"))
    failed = [status for _, _, status in found["answers"] if not 200 <= status < 300]
    if failed:
        n, of = len(failed), len(found["answers"])
        raise RuntimeError(
            f"{server.name}: {n} of {of} requests failed, the first with {failed[0]}; {server.log}"
        )
    return found


def _carried_out(plan, python):
    with tempfile.TemporaryDirectory() as folder:
        given, answers = Path(folder, "plan.json"), Path(folder, "answers.json")
        given.write_text(json.dumps(plan), encoding="utf-8")
        command = [python, _CLIENTS, given, answers]
        environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise RuntimeError(f"the load generator failed:\n{ended.stderr}")
        return json.loads(answers.read_text(encoding="utf-8"))


def _load(found, window, server_cores):
    began, ended = np.array([a[:2] for a in found["answers"]], np.float64).reshape(-1, 2).T
    inside = np.clip(np.minimum(ended, window[1]) - np.maximum(began, window[0]), 0, None)
    shares = inside / np.maximum(ended - began, 1e-9)
    took_ms = 1000 * (ended - began)[inside > 0]
    p50, p95, p99 = np.percentile(took_ms, [50, 95, 99])
    return Load(
        answers_per_s=float(shares.sum() / (window[1] - window[0])),
        p50_ms=float(p50),
        p95_ms=float(p95),
        p99_ms=float(p99),
        n_answers=int(took_ms.size),
        server_cores=server_cores,
        generator_cores=found["cpu_s"] / found["elapsed_s"],
        samples=found["samples"],
    )
