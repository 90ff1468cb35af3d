"""Many slow clients at once: idle ones, slow readers, slow writers."""

import resource
import socket
import ssl
import threading
from contextlib import ExitStack, suppress

TICK_S = 1.0
_SMALL_BUFFER_BYTES = 4096
_RECORD_BYTES = 16_384  # the most that one recv() returns with TLS
_RECORDS_A_TICK = 4


class Crowd:
    """Connections to (127.0.0.1, port) from `address`, over TLS if a context is given.

    Once a second each slow writer sends one byte and each slow reader reads at most 64 KiB. That suffices for
    the server to see progress: on loopback the kernel's buffers are megabytes. Use as a context manager; at
    its end all connections close.
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
        """Open connections that send nothing, not even a TLS handshake."""
        return [self._open() for _ in range(count)]

    def readers(self, count, path, *, times=1):
        """On each connection, request `path` several times at once and read the responses slowly."""
        requests = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * times
        return self._open_slow(count, requests, self._readers)

    def writers(self, count, beginning):
        """Send the beginning of a request, and then one byte per second."""
        return self._open_slow(count, beginning, self._writers)

    def _open_slow(self, count, beginning, group):
        opened = []
        for _ in range(count):
            connection = self._open()
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_hostname="127.0.0.1")
                self._stack.callback(connection.close)
            connection.sendall(beginning)
            connection.setblocking(False)
            opened.append(connection)
        group += opened
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
                with suppress(OSError):  # closed by the server, or its buffer is full
                    connection.send(b"a")
            for connection in list(self._readers):
                with suppress(OSError):
                    for _ in range(_RECORDS_A_TICK):
                        connection.recv(_RECORD_BYTES)


def is_open(connection):
    """Return whether the server has not closed the connection; assumes that no response is unread."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def allow_open_files(count):
    """Raise the soft limit of open files for this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = count if hard == unlimited else min(count, hard)
    if soft != unlimited and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
