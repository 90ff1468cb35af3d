"""Loads a server from a separate process and summarizes the answers.

The process is clients.py for a closed loop, arrivals.py for an open loop.
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
    """A POST request."""

    path: str
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Load:
    """Throughput and latency of a closed loop within the measured window.

    `answers_per_s` counts a request that began before the window or ended after it by the share of its
    duration inside. `server_cores` and `generator_cores` are processor seconds per second over the whole
    load. `window_s` is the begin and end of the window on time.perf_counter.
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
    """Throughput and latency of an open loop; a time runs from when a request was due to its complete answer.

    `goodput_per_s` counts the 2xx answers that arrived within the window and within their deadline. All other
    figures are about the requests that were due within the window: accepted (2xx), late (2xx after the
    deadline), refused (503) and failed (any other status, or no answer). Times are (p50, p95, p99).
    `lag_p99_ms` is the delay of the generator itself; cores as for Load.
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
    """Return a POST request with `content` as JSON."""
    headers = {"Content-Type": "application/json", **headers}
    return Request(path, json.dumps(content).encode(), headers)


def closed_loop(server, requests, options, *, n_clients):
    """Send `requests`, in order, from `n_clients` in parallel; return the Load after the warm-up.

    Raises:
        RuntimeError: a request failed, or there were too few requests for the duration.
    """
    cpu_s = server.cpu_s()
    seconds = options.warm_s + options.seconds
    output = send(server, requests, options, n_clients=n_clients, seconds=seconds)
    server_cores = (server.cpu_s() - cpu_s) / output["elapsed_s"]
    if output["ran_out"]:
        raise RuntimeError(f"{server.name} answered all requests before the time was over")
    start_s = output["began_s"] + options.warm_s
    return _load(output, (start_s, start_s + options.seconds), server_cores)


def open_loop(server, requests, options, *, per_s, deadline_s):
    """Send `requests` at equal intervals, `per_s` a second, during the warm-up and the measured window.

    Each is sent when it is due, over an idle or a new connection, even if earlier ones are unanswered. None
    is retried: a refused request stands for a client that goes elsewhere or comes back later.

    Raises:
        ValueError: there are too few requests for the duration.
    """
    n = round(per_s * (options.warm_s + options.seconds))
    if n > len(requests):
        raise ValueError(f"{n} requests are needed, there are {len(requests)}")
    plan = _plan(server, requests[:n]) | {"per_s": per_s, "patience_s": deadline_s + _PATIENCE_S}
    cpu_s = server.cpu_s()
    output = _run_generator(_ARRIVALS, plan, options.interpreter("load"))
    server_cores = (server.cpu_s() - cpu_s) / output["elapsed_s"]
    start_s = output["began_s"] + options.warm_s
    return _open_load(output, (start_s, start_s + options.seconds), deadline_s, server_cores)


def send(server, requests, options, *, n_clients, seconds=None):
    """Send `requests` for `seconds`, or all of them if that is None; return when each began and ended.

    Raises:
        RuntimeError: a request failed.
    """
    plan = _plan(server, requests) | {"n_clients": n_clients, "seconds": seconds}
    output = _run_generator(_CLIENTS, plan, options.interpreter("load"))
    failed = [status for _, _, status in output["answers"] if not 200 <= status < 300]
    if failed:
        n, of = len(failed), len(output["answers"])
        raise RuntimeError(
            f"{server.name}: {n} of {of} requests failed, the first with {failed[0]}; {server.log}"
        )
    return output


def _plan(server, requests):
    sent = [(r.path, r.headers, base64.b64encode(r.body).decode("ascii")) for r in requests]
    return {"url": server.url, "requests": sent}


def _run_generator(script, plan, python):
    with tempfile.TemporaryDirectory() as folder:
        plan_path, answers = Path(folder, "plan.json"), Path(folder, "answers.json")
        plan_path.write_text(json.dumps(plan), encoding="utf-8")
        command = [python, script, plan_path, answers]
        environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        process = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        if process.returncode:
            raise RuntimeError(f"the load generator failed:\n{process.stderr}")
        return json.loads(answers.read_text(encoding="utf-8"))


def _load(output, window, server_cores):
    began, ended = np.array([a[:2] for a in output["answers"]], np.float64).reshape(-1, 2).T
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
        generator_cores=output["cpu_s"] / output["elapsed_s"],
        samples=output["samples"],
        window_s=window,
    )


def _open_load(output, window, deadline_s, server_cores):
    due, sent, ended, status = np.array(output["answers"], np.float64).reshape(-1, 4).T
    is_good = (status >= 200) & (status < 300)
    is_late = ended - due > deadline_s
    arrived = (ended >= window[0]) & (ended < window[1])
    counts = (due >= window[0]) & (due < window[1])
    accepted, refused = counts & is_good, counts & (status == 503)
    took_ms, seconds = 1000 * (ended - due), window[1] - window[0]
    return OpenLoad(
        offered_per_s=float(counts.sum() / seconds),
        goodput_per_s=float((arrived & is_good & ~is_late).sum() / seconds),
        n_accepted=int(accepted.sum()),
        n_late=int((accepted & is_late).sum()),
        n_refused=int(refused.sum()),
        n_failed=int(counts.sum() - accepted.sum() - refused.sum()),
        accepted_ms=percentiles(took_ms[accepted]),
        refused_ms=percentiles(took_ms[refused]),
        lag_p99_ms=float(np.percentile(1000 * (sent - due)[counts], 99)),
        server_cores=server_cores,
        generator_cores=output["cpu_s"] / output["elapsed_s"],
    )


def percentiles(values):
    """Return p50, p95 and p99; NaN without values."""
    if not len(values):
        return (float("nan"),) * 3
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return float(p50), float(p95), float(p99)
