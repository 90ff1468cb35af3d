"""A semaphore that callers share fairly: none can hold all of its slots."""

from __future__ import annotations

import math
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from service.errors import Overloaded, RateLimited

_KNOWN_CALLERS = 1_000  # callers whose pace is remembered


@dataclass(eq=False, slots=True)
class _Turn:
    """One request for a slot; `granted` is set when it holds one."""

    caller: str
    granted: threading.Event = field(default_factory=threading.Event)
    began_s: float = 0.0


class FairSlots:
    """Grants `n_slots` slots. Thread-safe.

    A caller holds at most all slots but one, so no caller has to wait for one other caller alone. A free slot
    goes to the waiting caller that holds the fewest; equals take turns. A caller is an opaque key.
    """

    def __init__(self, n_slots: int) -> None:
        self._n_free = n_slots
        self._share = max(1, n_slots - 1)
        self._lock = threading.Lock()  # guards all fields below
        self._n_held: Counter[str] = Counter()
        self._waiting: dict[str, deque[_Turn]] = {}
        """Waiting turns by caller; the caller that got its last slot longest ago is first."""
        self._pace_s: OrderedDict[str, float] = OrderedDict()
        """Moving average of the seconds that a caller holds a slot, in order of the last release."""

    @property
    def n_waiting(self) -> int:
        """Number of turns that wait for a slot."""
        with self._lock:
            return sum(len(turns) for turns in self._waiting.values())

    @contextmanager
    def hold(self, caller: str, *, timeout_s: float) -> Iterator[None]:
        """Wait at most `timeout_s` for a slot, and hold it within the block.

        Raises:
            RateLimited: the caller's own turns delay this one beyond the time-out.
            Overloaded: other callers' turns delay it beyond the time-out.
        """
        turn = self._enqueue(caller, timeout_s)
        if not turn.granted.wait(timeout_s):
            self._give_up(turn)
        try:
            yield
        finally:
            self._release(turn)

    def _enqueue(self, caller: str, timeout_s: float) -> _Turn:
        with self._lock:
            expected_s = self._expected_wait_s(caller)
            if expected_s > timeout_s:
                raise _rate_limited(expected_s)
            turn = _Turn(caller)
            self._waiting.setdefault(caller, deque()).append(turn)
            self._grant()
            return turn

    def _expected_wait_s(self, caller: str) -> float:
        """Estimate how long the caller's own turns will delay another one, in seconds."""
        n_waiting = len(self._waiting.get(caller, ()))
        if self._n_held[caller] < self._share and not n_waiting:
            return 0.0
        return (n_waiting + 0.5) * self._pace_s.get(caller, 0.0) / self._share

    def _grant(self) -> None:
        """Grant each free slot to the next caller."""
        while self._n_free:
            eligible = [caller for caller in self._waiting if self._n_held[caller] < self._share]
            if not eligible:
                return
            caller = min(eligible, key=lambda c: self._n_held[c])  # the first of equals
            turns = self._waiting.pop(caller)
            turn = turns.popleft()
            if turns:
                self._waiting[caller] = turns  # behind the other callers
            self._n_free -= 1
            self._n_held[caller] += 1
            turn.began_s = monotonic()
            turn.granted.set()

    def _give_up(self, turn: _Turn) -> None:
        """Leave the queue and raise, unless the slot was granted meanwhile."""
        with self._lock:
            if turn.granted.is_set():
                return
            turns = self._waiting[turn.caller]
            turns.remove(turn)
            if not turns:
                del self._waiting[turn.caller]
            if self._n_held[turn.caller] >= self._share:
                raise _rate_limited(self._pace_s.get(turn.caller, 0.0))
        raise Overloaded("Too many files are being read. Try again in a few seconds.")

    def _release(self, turn: _Turn) -> None:
        with self._lock:
            self._update_pace(turn)
            self._n_free += 1
            self._n_held[turn.caller] -= 1
            if not self._n_held[turn.caller]:
                del self._n_held[turn.caller]
            self._grant()

    def _update_pace(self, turn: _Turn) -> None:
        held_s = monotonic() - turn.began_s
        old_s = self._pace_s.pop(turn.caller, held_s)
        self._pace_s[turn.caller] = (old_s + held_s) / 2
        if len(self._pace_s) > _KNOWN_CALLERS:
            self._pace_s.popitem(last=False)


def _rate_limited(expected_s: float) -> RateLimited:
    return RateLimited(
        "Your other files use up your share of the document readers. "
        "Wait for their answers, then send this one again.",
        retry_after_s=max(1, math.ceil(expected_s)),
    )
