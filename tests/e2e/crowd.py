"""Clients that hold connections without doing anything useful: idle, slow to read, slow to write."""

import resource
import socket
import ssl
import threading
from contextlib import ExitStack, suppress

TICK_S = 1.0
_SMALL_BUFFER_BYTES = 4096
_RECORD_BYTES = 16_384  # the most that one recv() gives with TLS
_RECORDS_A_TICK = 4


class Crowd:
    """Connections to (127.0.0.1, port) from `address`, over TLS where a context is given.

    Once a second each slow writer sends a byte and each slow reader takes 64 KiB at most: enough for
    the kernel, whose buffers are megabytes on loopback, to tell the server that it may go on. Use as
    a context manager; all of them hang up at its end.
    """

    def __init__(self, port, *, address="127.0.0.1", tls=None):
        self._port = port
        self._address = address
        self._tls = tls
        self._stack = ExitStack()
        self._readers = []
        self._writers = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tick)

    def __enter__(self):
        allow_open_files(8192)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._thread.join()
        self._stack.close()

    def idle(self, count):
        """Open connections that say nothing, not even a TLS handshake."""
        return [self._open() for _ in range(count)]

    def readers(self, count, path, *, times=1):
        """Ask for `path` `times` times at once on each connection, and hardly read the answers."""
        ask = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * times
        return self._talkers(count, ask, self._readers)

    def writers(self, count, beginning):
        """Send `beginning`, and from then on a byte a second."""
        return self._talkers(count, beginning, self._writers)

    def _talkers(self, count, beginning, kept):
        opened = []
        for _ in range(count):
            connection = self._open()
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_hostname="127.0.0.1")
                self._stack.callback(connection.close)
            connection.sendall(beginning)
            connection.setblocking(False)
            opened.append(connection)
        kept += opened
        return opened

    def _open(self):
        connection = socket.socket()
        self._stack.callback(connection.close)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
        connection.bind((self._address, 0))
        connection.settimeout(60)
        connection.connect(("127.0.0.1", self._port))
        return connection

    def _tick(self):
        while not self._stopped.wait(TICK_S):
            for connection in list(self._writers):
                with suppress(OSError):  # cut off, or full: no matter
                    connection.send(b"a")
            for connection in list(self._readers):
                with suppress(OSError):
                    for _ in range(_RECORDS_A_TICK):
                        connection.recv(_RECORD_BYTES)


def is_open(connection):
    """Whether the server has not ended the connection; nothing of an answer may be waiting."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def allow_open_files(count):
    """Raise the soft limit of open files of this process and of those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = count if hard == unlimited else min(count, hard)
    if soft != unlimited and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
