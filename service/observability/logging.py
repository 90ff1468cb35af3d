"""One JSON object per log line; no document text, token or prompt ever gets here."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue

from service.observability.request_id import current_request_id

_OWN_FIELDS = "fields"
_ENCODER = json.JSONEncoder(default=str)
_MOST_WAITING = 10_000
_LOOK_S = 0.01


def configure(level: str) -> None:
    """Send every logger's lines, as JSON, to standard error."""
    handler = _Background()
    handler.setFormatter(_JsonFormatter())
    # What no line tells need not be looked up for each (see "Optimization" in the Logging HOWTO).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - the HOWTO names it
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells every address with its query
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of each waiting request
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells its plumbing at INFO


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Return the `extra` of a log call: `log.info("scan", extra=fields(duration_ms=3))`."""
    return {_OWN_FIELDS: values}


class _Background(QueueHandler):
    """Has a thread of its own write the lines.

    Whoever writes lets the GIL go and waits for it again; a thread that does so while it holds a handler's
    lock keeps all others from their answers too.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[logging.LogRecord] = SimpleQueue()
        super().__init__(self._waiting)
        self._writer = QueueListener(self._waiting, logging.StreamHandler(sys.stderr))
        self._writer.start()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Hand a line to the writer, once there is room."""
        while self._waiting.qsize() >= _MOST_WAITING:
            time.sleep(_LOOK_S)
        super().enqueue(record)

    def close(self) -> None:
        """Return when all lines are written."""
        self._writer.stop()
        super().close()


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
        line.update(getattr(record, _OWN_FIELDS, {}))
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            line["where"] = _frames(record)
        return _ENCODER.encode(line)


def _frames(record: logging.LogRecord) -> list[str]:
    """Return file:line of the traceback. Messages of foreign errors may quote document text."""
    frames = []
    traceback = record.exc_info[2] if record.exc_info else None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return frames[-12:]
