"""A closed-loop load generator: each client sends its next request when its last one is answered.

Runs in a process and environment of its own, with locust, since gevent replaces the standard library's
sockets. Imports nothing of ours. Reads a plan. Writes when each request began and ended, on the clock that
all processes of a machine share (time.perf_counter on Linux).

    python clients.py plan.json answers.json
"""

import base64
import json
import sys
import time
from pathlib import Path

import gevent.event
from locust import FastHttpUser, constant, events, task
from locust.env import Environment
from locust.exception import StopUser

_PATIENCE_S = 600.0
_N_SAMPLES = 3


def run(plan):
    """Send the requests of the plan for its `seconds`, or until all are sent if that is null."""
    pending = ((p, h, base64.b64decode(b)) for p, h, b in plan["requests"])
    answers, samples = [], []
    over = gevent.event.Event()

    class Client(FastHttpUser):
        host = plan["url"]
        wait_time = constant(0)
        network_timeout = connection_timeout = _PATIENCE_S
        max_retries = 0

        @task
        def send(self):
            if over.is_set():
                raise StopUser
            path, headers, body = next(pending, (None, None, None))
            if path is None:
                over.set()
                raise StopUser
            began_s = time.perf_counter()
            answer = self.client.post(path, data=body, headers=headers)
            answers.append((began_s, time.perf_counter(), answer.status_code))
            if len(samples) < _N_SAMPLES:
                samples.append(answer.text)

    return _measure(Client, over, plan) | {"answers": answers, "samples": samples}


def _measure(client, over, plan):
    """Run the clients until `over` is set or the plan's seconds have passed."""
    environment = Environment(user_classes=[client], events=events)
    runner = environment.create_local_runner()
    cpu_s, began_s = time.process_time(), time.perf_counter()
    runner.start(plan["n_clients"], spawn_rate=plan["n_clients"])
    over.wait(plan["seconds"])
    ran_out = over.is_set()
    over.set()
    runner.user_greenlets.join()
    elapsed_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    return {
        "began_s": began_s,
        "ran_out": ran_out,
        "cpu_s": cpu_s,
        "elapsed_s": elapsed_s,
    }


if __name__ == "__main__":
    output = run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(sys.argv[2]).write_text(json.dumps(output), encoding="utf-8")
