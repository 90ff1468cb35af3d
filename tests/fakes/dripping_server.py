"""A server that begins an answer and sends one byte of it at a time, for ever."""

import socket
import threading
import time
from contextlib import suppress

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Slow: "
BODY = b'HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n{"a": "'


class DrippingServer:
    """Drips after `beginning`, and counts its connections."""

    def __init__(self, beginning, every_s=0.02):
        self.n_begun = 0
        self.n_open = 0
        self._beginning = beginning
        self._every_s = every_s
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._count(1)
                threading.Thread(target=self._drip, args=(connection,), daemon=True).start()

    def _drip(self, connection):
        with connection, suppress(OSError):  # the client has hung up
            connection.recv(65536)
            connection.sendall(self._beginning)
            while True:
                connection.sendall(b"x")
                time.sleep(self._every_s)
        self._count(-1)

    def _count(self, change):
        with self._lock:
            self.n_open += change
            self.n_begun += max(change, 0)
