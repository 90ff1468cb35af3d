"""The sandbox's own worker, which also reports its peak memory to the process that started it."""

from __future__ import annotations

import os
import re
import socket

from service.nlp.extraction import sandbox_worker


def address(process_id: int) -> str:
    """Return where a process receives the reports of its children: an abstract socket, without a file."""
    return f"\0riskscan-peak-{process_id}"


def main() -> None:
    """Read the document as the service does; a child that the kernel kills reports nothing."""
    reports = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    reports.connect(address(os.getppid()))
    status = os.open(
        "/proc/self/status", os.O_RDONLY
    )  # the limits may leave no memory for it later
    leave = os._exit

    def report_and_leave(code: int) -> None:
        # VmHWM counts since exec; ru_maxrss would count the process that forked this one.
        peak = re.search(rb"VmHWM:\s*([0-9]+) kB", os.pread(status, 8_192, 0))
        assert peak
        reports.send(peak[1])
        leave(code)

    os._exit = report_and_leave
    sandbox_worker.main()
