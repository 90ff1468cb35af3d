"""The supervisor of WEB_PROCESSES processes that serve one port: starts, restarts and drains them.

All accept connections from the same listening sockets, which the supervisor holds, so no connection is lost
when a process dies. It serves nothing itself. With OPS_PORT it runs the sidecar, which speaks for all.
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Sequence
from types import FrameType

from service.config.settings import Config
from service.observability import logging as logs
from service.server.banner import print_banner
from service.server.listening import close_all, listen
from service.server.process_group import ProcessGroup
from service.server.shared_accept import ConnectionCounts
from service.server.sidecar import Sidecar, open_sidecar
from service.server.transport import check_transport
from service.server.web_process import WebProcess

_POLL_S = 0.05
_END_S = 5.0
"""Seconds beyond DRAIN_TIMEOUT_S in which a process closes what it has open."""
_log = logging.getLogger(__name__)


def supervise(config: Config) -> int:
    """Serve with several processes until SIGTERM or SIGINT; must run in the main thread.

    Returns the exit status: that of the first process if it cannot start, which then has said why.

    Raises:
        ConfigError: an address is taken or belongs to another machine, or HTTP would be plain.
    """
    logs.configure(config.log_level)
    check_transport(config)
    _warn_of_limits(config)
    sockets = listen(config.host, config.port)
    group = ProcessGroup(config.web_processes)
    try:
        sidecar = None
        if config.ops_port is not None:
            sidecar = open_sidecar(config.host, config.ops_port, group)
        return Supervisor(config, sockets, group, sidecar).run()
    finally:
        close_all(sockets)


class Supervisor:
    """Runs the processes and waits for signals."""

    def __init__(
        self,
        config: Config,
        sockets: Sequence[socket.socket],
        group: ProcessGroup,
        sidecar: Sidecar | None,
    ) -> None:
        self._config = config
        self._sockets = sockets
        self._port = int(sockets[0].getsockname()[1])
        self._group = group
        self._sidecar = sidecar
        self._is_stopping = False
        counts = ConnectionCounts.create(config.web_processes)
        self._processes = [
            WebProcess(i, sockets, counts, group) for i in range(config.web_processes)
        ]

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit status."""
        # Handlers only set a flag. sigtimedwait would need none, but after SIGCONT Python 3.11 returns
        # a signal from it that nobody sent.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        if self._sidecar is not None:
            self._sidecar.start()
        try:
            status = self._start()
            if status is None:
                print_banner(self._config, self._port)
                status = self._supervise()
        finally:
            for process in self._processes:
                process.kill()
            if self._sidecar is not None:
                self._sidecar.close()
        return status

    def _start(self) -> int | None:
        """Start the first process, then the others; return an exit status if that ends the service.

        So the first one alone upgrades the database, and reports faulty settings once.
        """
        first, *others = self._processes
        first.start()
        while not first.has_started:
            if self._is_stopping:
                return self._drain()
            status = first.exit_status()
            if status is not None:
                return status if status >= 0 else 128 - status
            time.sleep(_POLL_S)
        for process in others:
            process.start()
        return None

    def _supervise(self) -> int:
        while not self._is_stopping:
            for process in self._processes:
                process.ensure_running()
            time.sleep(_POLL_S)
        return self._drain()

    def _drain(self) -> int:
        """Let the processes finish their requests; kill those that do not end."""
        _log.info("draining %d processes", len(self._processes))
        self._group.drain()
        if self._sidecar is not None:
            self._sidecar.send_now()
        # The processes close their own; the last one to do so accepts what waits there before.
        close_all(self._sockets)
        for process in self._processes:
            process.terminate()
        deadline_s = time.monotonic() + self._config.drain_timeout_s + _END_S
        while any(process.is_running for process in self._processes):
            if time.monotonic() > deadline_s:
                _log.error("processes that did not end in time are killed")
                break
            time.sleep(_POLL_S)
        return 0

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True


def _warn_of_limits(config: Config) -> None:
    if config.rate_limit_storage_url == "memory://":
        _log.warning(
            "each of the %d processes counts by itself for LOGIN_RATE_LIMIT and the other limits, so a "
            "caller may reach up to %d times a limit; set REDIS_URL or RATE_LIMIT_STORAGE_URL to count "
            "together",
            *(config.web_processes, config.web_processes),
        )
