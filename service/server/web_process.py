"""One of the processes that serve PORT, as its supervisor sees it: started, restarted and ended."""

from __future__ import annotations

import errno
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from service.server.process_group import ProcessGroup
from service.server.process_messages import Channel, Message, encode_report
from service.server.shared_accept import ConnectionCounts

_FIRST_DELAY_S = 0.5
_MAX_DELAY_S = 30.0
_MAX_DOUBLINGS = 6  # from 0.5 s to 32 s, above the longest delay
_STABLE_S = 60.0
"""A process that served for so long is restarted after the first delay again."""
_log = logging.getLogger(__name__)


class WebProcess:
    """Process `index`, counted from 0. A thread receives its messages."""

    def __init__(
        self,
        index: int,
        sockets: Sequence[socket.socket],
        counts: ConnectionCounts,
        group: ProcessGroup,
    ) -> None:
        self._index = index
        self._sockets = sockets
        self._counts = counts
        self._group = group
        self._process: subprocess.Popen[bytes] | None = None
        self._begun_at_s = self._restart_at_s = 0.0
        self._n_deaths = 0
        self._started = threading.Event()

    @property
    def has_started(self) -> bool:
        """Whether the process has opened everything and serves."""
        return self._started.is_set()

    @property
    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process.

        Raises:
            OSError: the system has no process, thread, memory or file descriptor left.
        """
        self._started = threading.Event()
        self._begun_at_s = time.monotonic()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = self._spawn(theirs)
        except OSError:
            ours.close()
            raise
        channel = Channel(ours)
        arguments = (channel, self._process.pid, self._started)
        name = f"messages-{self._index}"
        thread = threading.Thread(target=self._receive, args=arguments, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # Python hides the system's own error
            channel.close()
            self.kill()
            self._process = None
            raise OSError(errno.EAGAIN, "no thread is left for its messages") from error

    def exit_status(self) -> int | None:
        """Return the exit status of the process, None while it runs; -n after signal n."""
        return None if self._process is None else self._process.poll()

    def ensure_running(self) -> None:
        """Restart the process after its death, after a delay that doubles with each death."""
        now_s = time.monotonic()
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return
            self._process = None
            self._counts.stop_accepting(self._index)
            self._schedule_restart(status, now_s)
        if now_s >= self._restart_at_s:
            self._group.count_restart()
            try:
                self.start()
            except OSError as error:
                _log.error("cannot start process %d: %s", self._index, error.strerror)
                self._n_deaths += 1
                self._restart_at_s = now_s + restart_delay_s(self._n_deaths)

    def terminate(self) -> None:
        """Tell the process to finish its requests and end."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End the process at once, and reap it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _spawn(self, channel: socket.socket) -> subprocess.Popen[bytes]:
        listening = [shared.fileno() for shared in self._sockets]
        descriptors = [channel.fileno(), self._counts.descriptor, *listening]
        return subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            [
                *(sys.executable, "-m", "service", "web-process"),
                *map(str, (self._index, *descriptors)),
            ],
            stdin=subprocess.DEVNULL,
            pass_fds=descriptors,
            # The terminal sends Ctrl-C to the supervisor alone, which then drains the processes.
            start_new_session=True,
        )

    def _schedule_restart(self, status: int, now_s: float) -> None:
        self._n_deaths = 1 if now_s - self._begun_at_s > _STABLE_S else self._n_deaths + 1
        self._restart_at_s = now_s + restart_delay_s(self._n_deaths)
        what = "died" if self.has_started else "did not start"
        _log.error(
            "process %d %s (exit status %d); restarting it in %.1f s",
            *(self._index, what, status, restart_delay_s(self._n_deaths)),
        )

    def _receive(self, channel: Channel, process: int, started: threading.Event) -> None:
        """Pass the messages of one start of the process on, until it ends."""
        try:
            for message in channel.received():
                if "started" in message:
                    started.set()
                elif "question" in message:
                    answer = self._answer(message)
                    channel.send({"id": message["id"], "answer": answer})
                else:
                    self._group.receive(process, message)
        except OSError as error:
            _log.warning("process %d does not read: %s", self._index, type(error).__name__)
        finally:
            channel.close()
            self._group.end(process)

    def _answer(self, message: Message) -> object:
        if message["question"] == "metrics":
            return self._group.exposition().decode()
        return encode_report(self._group.report())


def restart_delay_s(n_deaths: int) -> float:
    """Return the seconds from the last of `n_deaths` deaths in a row, at least 1, to the restart."""
    # Without its bound the power overflows after some 1,025 deaths, which would end the supervisor.
    doublings = min(n_deaths - 1, _MAX_DOUBLINGS)
    return float(min(_FIRST_DELAY_S * 2**doublings, _MAX_DELAY_S))
