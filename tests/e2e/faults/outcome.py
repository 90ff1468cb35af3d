"""What a service answered under one fault."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.support.calls import caller
from tests.support.sentences import FLOW_TEXT


@dataclass
class Outcome:
    """The answers under one fault, the slowest of them, and what was wrong."""

    fault: str
    answers: Counter = field(default_factory=Counter)
    slowest_s: float = 0.0
    wrong: list = field(default_factory=list)

    def add(self, answer, duration_s):
        code = answer.json().get("code", "") if answer.status_code >= 400 else ""
        self.answers[f"{answer.status_code} {code}".strip()] += 1
        self.slowest_s = max(self.slowest_s, duration_s)

    def call(self, send):
        """Send one request, and count and return its answer."""
        began_s = time.monotonic()
        answer = send()
        self.add(answer, time.monotonic() - began_s)
        return answer

    def repeat(self, send, times, *, at_once=4):
        """Send the request `times` times from a few clients."""
        with ThreadPoolExecutor(at_once) as clients:
            return list(clients.map(lambda _: self.call(send), range(times)))

    def expect(self, *answers, within_s):
        """Note as wrong any other answer, and a slower one."""
        others = {a: n for a, n in self.answers.items() if a not in answers}
        if others or not self.answers:
            self.wrong.append(f"{others or 'no answer'} instead of {' or '.join(answers)}")
        if self.slowest_s > within_s:
            self.wrong.append(f"{self.slowest_s:.1f} s, more than {within_s} s")
        return self

    def __str__(self):
        answers = ", ".join(f"{n} x {answer}" for answer, n in sorted(self.answers.items()))
        verdict = "; ".join(self.wrong) or "as documented"
        return f"{self.fault} | {answers} | {self.slowest_s:.1f} s | {verdict}"


@contextmanager
def others(url, headers, outcome):
    """Scan and ask for readiness again and again in the block, as another user would."""
    stopping = threading.Event()

    def run():
        with caller(url, headers=headers) as http:
            while not stopping.is_set():
                outcome.call(lambda: http.post("/api/scan", json={"text": FLOW_TEXT}))
                outcome.call(lambda: http.get("/health/ready"))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def post(url, path, headers, **content):
    return httpx.post(f"{url}{path}", headers=headers, timeout=120, verify=False, **content)
