"""Loads a server from a process of its own and says what it answered.

clients.py is that process for a closed loop, arrivals.py for an open one.
"""

import base64
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_CLIENTS = Path(__file__).with_name("clients.py")
_ARRIVALS = Path(__file__).with_name("arrivals.py")
_PATIENCE_S = 60.0


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
    `window_s` is when the measured time began and ended, on time.perf_counter.
    """

    answers_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    n_answers: int
    server_cores: float
    generator_cores: float
    samples: list[str]
    window_s: tuple[float, float]


@dataclass(frozen=True, slots=True)
class OpenLoad:
    """What became of the requests of an open loop; times are from when each was due to its whole answer.

    `goodput_per_s` counts the 2xx that came within the window and their deadline, `n_late` those after it.
    The others are counts and times, (p50, p95, p99), of the requests that were due within the window: 2xx,
    503, and whatever else (other statuses, broken connections, none). `lag_p99_ms` is how late the generator
    sent; cores as for Load.
    """

    offered_per_s: float
    goodput_per_s: float
    n_accepted: int
    n_late: int
    n_refused: int
    n_failed: int
    accepted_ms: tuple[float, float, float]
    refused_ms: tuple[float, float, float]
    lag_p99_ms: float
    server_cores: float
    generator_cores: float


def json_request(path, content, **headers):
    """Return a POST of JSON."""
    headers = {"Content-Type": "application/json", **headers}
    return Request(path, json.dumps(content).encode(), headers)


def closed_loop(server, requests, options, *, n_clients):
    """Send `requests`, in order, from `n_clients` at once; return the Load after the warm-up.

    Raises:
        RuntimeError: a request failed, or there were too few requests for the time.
    """
    cpu_s = server.cpu_s()
    seconds = options.warm_s + options.seconds
    found = send(server, requests, options, n_clients=n_clients, seconds=seconds)
    server_cores = (server.cpu_s() - cpu_s) / found["elapsed_s"]
    if found["ran_out"]:
        raise RuntimeError(f"{server.name} answered all requests before the time was over")
    start_s = found["began_s"] + options.warm_s
    return _load(found, (start_s, start_s + options.seconds), server_cores)


def open_loop(server, requests, options, *, per_s, deadline_s):
    """Send `requests` at even distances, `per_s` a second, for the warm-up and the time measured.

    They are sent when they are due, whatever became of those before, over idle connections or new ones. None
    is tried again: what is refused stands for a client that asks elsewhere or later.

    Raises:
        ValueError: there are too few requests for the time.
    """
    n = round(per_s * (options.warm_s + options.seconds))
    if n > len(requests):
        raise ValueError(f"{n} requests are needed, {len(requests)} given")
    plan = _plan(server, requests[:n]) | {"per_s": per_s, "patience_s": deadline_s + _PATIENCE_S}
    cpu_s = server.cpu_s()
    found = _carried_out(_ARRIVALS, plan, options.python_of("load"))
    server_cores = (server.cpu_s() - cpu_s) / found["elapsed_s"]
    start_s = found["began_s"] + options.warm_s
    return _open_load(found, (start_s, start_s + options.seconds), deadline_s, server_cores)


def send(server, requests, options, *, n_clients, seconds=None):
    """Send `requests` for `seconds`, all of them without; return when each began and ended.

    Raises:
        RuntimeError: a request failed.
    """
    plan = _plan(server, requests) | {"n_clients": n_clients, "seconds": seconds}
    found = _carried_out(_CLIENTS, plan, options.python_of("load"))
    failed = [status for _, _, status in found["answers"] if not 200 <= status < 300]
    if failed:
        n, of = len(failed), len(found["answers"])
        raise RuntimeError(
            f"{server.name}: {n} of {of} requests failed, the first with {failed[0]}; {server.log}"
        )
    return found


def _plan(server, requests):
    sent = [(r.path, r.headers, base64.b64encode(r.body).decode("ascii")) for r in requests]
    return {"url": server.url, "requests": sent}


def _carried_out(script, plan, python):
    with tempfile.TemporaryDirectory() as folder:
        given, answers = Path(folder, "plan.json"), Path(folder, "answers.json")
        given.write_text(json.dumps(plan), encoding="utf-8")
        command = [python, script, given, answers]
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
        window_s=window,
    )


def _open_load(found, window, deadline_s, server_cores):
    due, sent, ended, status = np.array(found["answers"], np.float64).reshape(-1, 4).T
    is_good = (status >= 200) & (status < 300)
    is_late = ended - due > deadline_s
    came = (ended >= window[0]) & (ended < window[1])
    counts = (due >= window[0]) & (due < window[1])
    accepted, refused = counts & is_good, counts & (status == 503)
    took_ms, seconds = 1000 * (ended - due), window[1] - window[0]
    return OpenLoad(
        offered_per_s=float(counts.sum() / seconds),
        goodput_per_s=float((came & is_good & ~is_late).sum() / seconds),
        n_accepted=int(accepted.sum()),
        n_late=int((accepted & is_late).sum()),
        n_refused=int(refused.sum()),
        n_failed=int(counts.sum() - accepted.sum() - refused.sum()),
        accepted_ms=percentiles(took_ms[accepted]),
        refused_ms=percentiles(took_ms[refused]),
        lag_p99_ms=float(np.percentile(1000 * (sent - due)[counts], 99)),
        server_cores=server_cores,
        generator_cores=found["cpu_s"] / found["elapsed_s"],
    )


def percentiles(values):
    """Return p50, p95 and p99, NaN of nothing."""
    if not len(values):
        return (float("nan"),) * 3
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return float(p50), float(p95), float(p99)
