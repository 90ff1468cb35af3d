"""A fixed number of slots, shared fairly: no caller can hold all of them."""

from __future__ import annotations

import math
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from service.errors import Overloaded, RateLimited

_KNOWN_CALLERS = 1_000  # pace is kept for so many callers


@dataclass(eq=False, slots=True)
class _Turn:
    """One request for a slot; `granted` is set once it holds one."""

    caller: str
    granted: threading.Event = field(default_factory=threading.Event)
    began_s: float = 0.0


class FairSlots:
    """Grants `n_slots` slots; one instance serves all threads.

    A caller holds all but one slot at most, so another caller never waits for that caller alone. A free
        slot goes to the waiting caller with the fewest slots; equals take turns. A caller is an opaque key.
    """

    def __init__(self, n_slots: int) -> None:
        self._n_free = n_slots
        self._share = max(1, n_slots - 1)
        self._lock = threading.Lock()  # guards all fields below
        self._n_held: Counter[str] = Counter()
        self._lines: dict[str, deque[_Turn]] = {}
        """Waiting turns by caller; the caller who has waited longest since the last slot is first."""
        self._pace_s: OrderedDict[str, float] = OrderedDict()
        """Recent seconds per slot, by caller, in order of their last release."""

    @property
    def n_waiting(self) -> int:
        """Turns that wait for a slot."""
        with self._lock:
            return sum(len(line) for line in self._lines.values())

    @contextmanager
    def hold(self, caller: str, *, timeout_s: float) -> Iterator[None]:
        """Hold a slot within the block, after a wait of `timeout_s` at most.

        Raises:
            RateLimited: the caller's own turns would delay this one beyond the time-out.
            Overloaded: the slots are taken by others.
        """
        turn = self._queued(caller, timeout_s)
        if not turn.granted.wait(timeout_s):
            self._give_up(turn)
        try:
            yield
        finally:
            self._release(turn)

    def _queued(self, caller: str, timeout_s: float) -> _Turn:
        with self._lock:
            expected_s = self._expected_wait_s(caller)
            if expected_s > timeout_s:
                raise _own_share(expected_s)
            turn = _Turn(caller)
            self._lines.setdefault(caller, deque()).append(turn)
            self._grant()
            return turn

    def _expected_wait_s(self, caller: str) -> float:
        """Estimate, from recent turns, how many seconds the caller's own turns will block one more."""
        n_waiting = len(self._lines.get(caller, ()))
        if self._n_held[caller] < self._share and not n_waiting:
            return 0.0
        return (n_waiting + 0.5) * self._pace_s.get(caller, 0.0) / self._share

    def _grant(self) -> None:
        """Give the free slots to those whose turn it is."""
        while self._n_free:
            due = [caller for caller in self._lines if self._n_held[caller] < self._share]
            if not due:
                return
            caller = min(due, key=lambda c: self._n_held[c])  # the first of equals
            line = self._lines.pop(caller)
            turn = line.popleft()
            if line:
                self._lines[caller] = line  # behind the others
            self._n_free -= 1
            self._n_held[caller] += 1
            turn.began_s = monotonic()
            turn.granted.set()

    def _give_up(self, turn: _Turn) -> None:
        """Leave the queue and raise, unless the slot was granted meanwhile."""
        with self._lock:
            if turn.granted.is_set():
                return
            line = self._lines[turn.caller]
            line.remove(turn)
            if not line:
                del self._lines[turn.caller]
            if self._n_held[turn.caller] >= self._share:
                raise _own_share(self._pace_s.get(turn.caller, 0.0))
        raise Overloaded("Too many files are being read. Try again in some seconds.")

    def _release(self, turn: _Turn) -> None:
        with self._lock:
            self._remember_pace(turn)
            self._n_free += 1
            self._n_held[turn.caller] -= 1
            if not self._n_held[turn.caller]:
                del self._n_held[turn.caller]
            self._grant()

    def _remember_pace(self, turn: _Turn) -> None:
        held_s = monotonic() - turn.began_s
        old_s = self._pace_s.pop(turn.caller, held_s)
        self._pace_s[turn.caller] = (old_s + held_s) / 2
        if len(self._pace_s) > _KNOWN_CALLERS:
            self._pace_s.popitem(last=False)


def _own_share(expected_s: float) -> RateLimited:
    return RateLimited(
        "Your other files use up your share of the document readers. "
        "Wait for their answers, then send this one again.",
        retry_after_s=max(1, math.ceil(expected_s)),
    )
