"""A TCP relay in front of a database, so that a test can take the database away and bring it back."""

import contextlib
import socket
import threading


class Relay:
    """Forwards bytes between clients and (host, port) until it is cut."""

    def __init__(self, host, port):
        self._target = (host, port)
        self._pairs = []
        self._listener = None
        self._flows = threading.Event()
        self._flows.set()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def open(self):
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._pairs = []
        arguments = (self._listener, self._pairs)
        threading.Thread(target=self._accept, args=arguments, daemon=True).start()

    def cut(self):
        """Refuse new connections and break those that are open."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        close(self._pairs)

    def mute(self):
        """Hold back all bytes and close nothing, as a frozen server does."""
        self._flows.clear()

    def unmute(self):
        """Deliver what was held back, and go on."""
        self._flows.set()

    def _accept(self, listener, pairs):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                pairs.append(client)
                server = socket.create_connection(self._target)
                pairs.append(server)
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()
        close(pairs)  # those too that came while the relay was being cut

    def _pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def close(ends):
    """Break and close connections."""
    for end in list(ends):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
