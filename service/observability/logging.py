"""Logs as JSON, one object per line. No line contains document text, tokens or prompts."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from queue import Queue
from typing import Any

from service.observability.request_id import current_request_id
from service.observability.trace_context import current_trace

_FIELDS = "fields"
_ENCODER = json.JSONEncoder(default=str)
_MAX_WAITING_LINES = 10_000


def configure(level: str) -> None:
    """Send the lines of every logger, as JSON, to standard error; starts the thread that writes them."""
    handler = _BackgroundHandler()
    handler.setFormatter(_JsonFormatter())
    # No line shows threads, processes or source lines, so do not look them up (Logging HOWTO).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - the HOWTO names it
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(
        logging.WARNING
    )  # its lines contain addresses with their query
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of each waiting request
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it logs its own steps at INFO
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # its lines list a PDF's characters
    handler.start()


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Return the `extra` of a log call: `log.info("scan", extra=fields(duration_ms=3))`."""
    return {_FIELDS: values}


class _BackgroundHandler(QueueHandler):
    """Writes the lines on one background thread.

    A write releases the GIL and then waits for it again. If the writing thread held a handler's lock
    meanwhile, it would delay every other thread that logs.
    """

    def __init__(self) -> None:
        self._lines: Queue[str] = Queue(_MAX_WAITING_LINES)
        super().__init__(self._lines)
        self._writer = _LineWriter(self._lines)
        self._is_started = False

    def start(self) -> None:
        """Start the thread."""
        self._writer.start()
        self._is_started = True

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the line to the writer; wait while the queue is full.

        QueueHandler would copy the record, and the writer format it a second time.
        """
        try:
            self._lines.put(self.format(record))
        except Exception:  # noqa: BLE001 - as every handler of the standard library
            self.handleError(record)

    def close(self) -> None:
        """Return when all lines are written."""
        if self._is_started:
            self._is_started = False
            self._lines.join()  # a full queue would make `stop` raise
            self._writer.stop()
        super().close()


class _LineWriter(QueueListener):
    """Writes finished lines to standard error."""

    def handle(self, record: Any) -> None:  # noqa: ANN401 - a line here, a record in the base class
        with contextlib.suppress(OSError, ValueError):  # nobody reads standard error any more
            sys.stderr.write(f"{record}\n")
            sys.stderr.flush()


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := current_request_id():
            line["request_id"] = request_id
        if trace := current_trace():
            line["trace_id"] = trace.trace_id
        line.update(getattr(record, _FIELDS, {}))
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            line["where"] = _frames(record)
        return _ENCODER.encode(line)


def _frames(record: logging.LogRecord) -> list[str]:
    """Return file:line of the traceback, without the messages, which may quote document text."""
    frames = []
    traceback = record.exc_info[2] if record.exc_info else None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return frames[-12:]
