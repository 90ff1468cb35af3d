"""A TCP relay in front of a database server; a test cuts it to simulate an outage."""

import contextlib
import re
import socket
import threading

from sqlalchemy import make_url

from tests.support.free_ports import free_port

# A relay that loses commits must read the statements.
_UNENCRYPTED = {"mysql": {"ssl_disabled": "true"}, "postgresql": {"sslmode": "disable"}}


def relay_before(database_url):
    """Return a relay in front of that database; `url` is the database's address through the relay."""
    url = make_url(database_url)
    relay = Relay(url.host, url.port)
    options = _UNENCRYPTED[url.get_backend_name()]
    relayed = url.set(host="127.0.0.1", port=relay.port).update_query_dict(options)
    relay.url = relayed.render_as_string(hide_password=False)
    return relay


class Relay:
    """Forwards bytes between clients and (host, port) until `cut`; `open` starts it again."""

    def __init__(self, host, port):
        self._target = (host, port)
        self._pairs = []
        self._is_cut = threading.Event()
        self._listener = None
        self._flows = threading.Event()
        self._flows.set()
        self._lock = threading.Lock()
        self._to_lose = {"commits": 0, "answers": 0, "connections": 0}
        self._has_inserted = threading.Event()
        self.n_lost = 0
        self.on_loss = lambda: None
        self.port = free_port()

    def open(self):
        self._listener = socket.create_server(("127.0.0.1", self.port))
        if self._is_cut.is_set():
            self._pairs, self._is_cut = [], threading.Event()
        arguments = (self._listener, self._pairs, self._is_cut)
        threading.Thread(target=self._accept, args=arguments, daemon=True).start()

    def refuse(self):
        """Refuse new connections from now on."""
        close([self._listener])

    def cut(self):
        """Refuse new connections and close the open ones."""
        self._is_cut.set()
        self.refuse()
        close(self._pairs)

    def mute(self):
        """Hold back all bytes without closing a connection, as a frozen server does."""
        self._flows.clear()

    def unmute(self):
        """Deliver the bytes held back, and go on."""
        self._flows.set()

    def lose_commits(self, times):
        """Break the connections of the next `times` writers as they send COMMIT, which never arrives."""
        self._to_lose["commits"] = times

    def lose_answers(self, times=10**6):
        """Break the connections of the next `times` writers after their COMMIT, before its answer."""
        self._to_lose["answers"] = times

    def delay_commits(self, times):
        """Break the connections of the next `times` writers as they send COMMIT, and deliver it late.

        It arrives after the next INSERT of another connection.
        """
        self._to_lose["connections"] = times

    def _accept(self, listener, pairs, is_cut):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                pairs.append(client)
                server = socket.create_connection(self._target)
                pairs.append(server)
                link = _Link(client, server)
                for pump in (self._send, self._receive):
                    threading.Thread(target=pump, args=(link,), daemon=True).start()
        if is_cut.is_set():
            close(pairs)  # includes connections accepted while the relay was being cut

    def _send(self, link):
        with contextlib.suppress(OSError):
            while data := link.client.recv(65536):
                self._flows.wait()
                if link.is_commit_of_a_writer(data):
                    if self._is_due("commits"):
                        close([link.client, link.server])
                        return
                    link.loses_answer = self._is_due("answers")
                    if self._is_due("connections"):
                        self._has_inserted.clear()
                        close([link.client])
                        self._has_inserted.wait(60)
                link.server.sendall(data)
                if b"INSERT" in data:
                    self._has_inserted.set()
        end(link.server)

    def _receive(self, link):
        with contextlib.suppress(OSError):
            while data := link.server.recv(65536):
                self._flows.wait()
                if link.loses_answer:
                    close([link.client, link.server])
                    return
                link.client.sendall(data)
        end(link.client)

    def _is_due(self, what):
        with self._lock:
            is_due = self._to_lose[what] > 0
            self._to_lose[what] -= is_due
            self.n_lost += is_due
        if is_due:
            self.on_loss()
        return is_due


class _Link:
    """The two ends of one connection."""

    def __init__(self, client, server):
        self.client = client
        self.server = server
        self.inserts = set()
        self.has_written = False
        self.loses_answer = False

    def is_commit_of_a_writer(self, data):
        # psycopg sends a statement's name instead of its text once it has prepared it.
        self.inserts |= set(re.findall(rb"(_pg3_\d+\0)INSERT", data))
        self.has_written |= b"INSERT" in data or any(name in data for name in self.inserts)
        is_commit = b"COMMIT" in data and self.has_written
        self.has_written &= not is_commit
        return is_commit


def end(sink):
    """Say that nothing more will be sent."""
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def close(connections):
    """Shut down and close connections."""
    for connection in list(connections):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
