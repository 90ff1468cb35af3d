"""Divides new connections among the processes that accept from the same sockets.

The kernel wakes all of them, and mostly the same one wins: of 8 connections, two processes got 8 and 0 or 7
and 1 in every second attempt. SO_REUSEPORT distributes by a hash, so some processes get twice as many as
others. Both hurt clients that keep few connections open. So each process publishes how many connections it
has in shared memory, and lets one with fewer go first for a moment.
"""

from __future__ import annotations

import mmap
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_DEFER_S = 0.005
"""How long a process leaves a new connection to others, for each that it has more than one of them."""
_MAX_SURPLUS = 8
_VALID_S = 0.05
"""How long after that it accepts without deferring again."""
_NOT_ACCEPTING = 2**32 - 1


class ConnectionCounts:
    """The number of open connections of each process, in memory that they share."""

    def __init__(self, descriptor: int, n_processes: int) -> None:
        """`descriptor` is that of `create`, or inherited from the process that called it."""
        self.descriptor = descriptor
        self._counts = memoryview(mmap.mmap(descriptor, 4 * n_processes)).cast("I")

    @classmethod
    def create(cls, n_processes: int) -> ConnectionCounts:
        """Return counts of processes of which none accepts connections yet."""
        descriptor = os.memfd_create("riskscan-connections")
        os.truncate(descriptor, 4 * n_processes)
        counts = cls(descriptor, n_processes)
        for index in range(n_processes):
            counts.stop_accepting(index)
        return counts

    def publish(self, index: int, n_connections: int) -> None:
        """Set the number of connections of process `index`."""
        self._counts[index] = n_connections

    def stop_accepting(self, index: int) -> None:
        """Leave no connection to process `index`: it is starting, draining or dead."""
        self._counts[index] = _NOT_ACCEPTING

    def surplus(self, index: int) -> int:
        """Return how many connections process `index` has more than the process with the fewest."""
        return self._counts[index] - min(self._counts)


class SharedAccept:
    """Decides in the loop of process `index` when to accept. Used by one thread."""

    def __init__(
        self,
        counts: ConnectionCounts,
        index: int,
        *,
        is_draining: Callable[[], bool],
        lead: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lead` counts as so many connections of this process, so that others accept first."""
        self._counts = counts
        self._index = index
        self._lead = lead
        self._is_draining = is_draining
        self._clock = clock
        self._deferred_until_s = -_VALID_S

    def publish(self, n_connections: int) -> None:
        """Tell the other processes how many connections this one has."""
        if self._is_draining():
            self._counts.stop_accepting(self._index)
        else:
            self._counts.publish(self._index, n_connections + self._lead)

    def wait_s(self) -> float:
        """Return for how long to leave waiting connections to others; 0 if they may be accepted."""
        return max(0.0, self._deferred_until_s - self._clock())

    def defer(self) -> bool:
        """Return whether to leave a waiting connection to a process that has fewer, for `wait_s` from now."""
        now_s = self._clock()
        has_deferred = 0 <= now_s - self._deferred_until_s < _VALID_S
        surplus = min(_MAX_SURPLUS + self._lead, self._counts.surplus(self._index))
        if has_deferred or not surplus:
            self._deferred_until_s = -_VALID_S
            return False
        self._deferred_until_s = now_s + _DEFER_S * surplus
        return True


@dataclass(frozen=True, slots=True)
class SharedPort:
    """The listening sockets that processes share, and the turns in which this one accepts from them."""

    sockets: Sequence[socket.socket]
    accept: SharedAccept
