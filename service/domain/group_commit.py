"""Callers who want the same kind of thing at once: one of them does it for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Generic, Literal, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")

_Turn = Literal["lead", "done", "alone"]


@dataclass(eq=False, slots=True)
class _Ticket(Generic[Item, Result]):
    """One caller's item, and then its result or the error that it shares with others."""

    item: Item
    results: list[Result] = field(default_factory=list)
    error: Exception | None = None
    turns: SimpleQueue[_Turn] = field(default_factory=SimpleQueue)

    def result(self) -> Result:
        if self.error is None:
            return self.results[0]
        try:
            raise self.error
        finally:
            self.error = None  # whose traceback holds this ticket


class Combiner(Generic[Key, Item, Result]):
    """Does the items of many threads in few calls of `work`: a caller's thread, not one of its own.

    A caller who finds nobody at work on its key does its item at once, so that a lone one waits for nobody.
    Those who come meanwhile wait, and the first of them then does all that wait, in one call: flat combining
    (Hendler et al., SPAA 2010), known as group commit where the work is a transaction. Whatever holds up one
    key holds up no other.
    """

    def __init__(
        self,
        work: Callable[[Key, Sequence[Item]], Sequence[Result]],
        *,
        common: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> None:
        """`work` returns a result for each item, in their order, or raises before any is done.

        An error in `common` is not caused by an item. All callers in the batch get it, and so do those who
        arrived during the call, since each would wait as long for the same error. After any other error,
        each item is retried alone.
        """
        self._work = work
        self._common = common
        self._lock = threading.Lock()
        self._waiting: dict[Key, list[_Ticket[Item, Result]]] = {}
        """Of each key that somebody is at work on, in order of arrival."""

    def do(self, key: Key, item: Item) -> Result:
        """Return the result of `item`; raises what `work` raises."""
        ticket: _Ticket[Item, Result] = _Ticket(item)
        with self._lock:
            is_busy = key in self._waiting
            self._waiting.setdefault(key, []).append(ticket)
        turn: _Turn = ticket.turns.get() if is_busy else "lead"
        if turn == "lead":
            turn = self._lead(key, ticket)
        return self._work(key, [item])[0] if turn == "alone" else ticket.result()

    def n_waiting(self, key: Key) -> int:
        """Return how many callers wait for the current call on `key`; -1 if there is none."""
        with self._lock:
            waiting = self._waiting.get(key)
            return -1 if waiting is None else len(waiting)

    def _lead(self, key: Key, own: _Ticket[Item, Result]) -> _Turn:
        """Do all that waits, `own` among it, then hand over; return how `own` is to go on."""
        group = self._take(key)
        turn: _Turn = "alone"
        try:
            turn = self._do(key, group)
        finally:
            with self._lock:
                left = self._waiting[key]
                if not left:
                    del self._waiting[key]
            if left:
                left[0].turns.put("lead")
            for ticket in group:
                if ticket is not own:
                    ticket.turns.put(turn)
        return turn

    def _do(self, key: Key, group: list[_Ticket[Item, Result]]) -> _Turn:
        try:
            results = self._work(key, [ticket.item for ticket in group])
        except Exception as error:  # noqa: BLE001 - raised again in the thread of each caller
            if isinstance(error, self._common):
                group += self._take(key)
            elif len(group) > 1:
                return "alone"
            for ticket in group:
                ticket.error = error
            return "done"
        for ticket, result in zip(group, results, strict=True):
            ticket.results.append(result)
        return "done"

    def _take(self, key: Key) -> list[_Ticket[Item, Result]]:
        with self._lock:
            taken, self._waiting[key] = self._waiting[key], []
        return taken
