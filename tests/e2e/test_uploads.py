"""Uploads into a real process: killed at any moment, and larger than its memory may grow."""

import hashlib
import random
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_start_and_stop import log_in
from tests.support.calls import caller
from tests.support.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.slow
MIB = 1 << 20
GIB = 1 << 30
N_KILLS, N_UPLOADERS, N_UPLOADS = 6, 4, 200


def signed_in(process):
    client = caller(process.url)
    client.headers.update(log_in(process.url))
    return client


def new_session(client):
    return (
        client.post("/api/v1/sessions", json={"name": "s"}).raise_for_status().headers["Location"]
    )


def verify(riskscan, *options):
    return riskscan("files", "verify", *options).stdout


class Uploads:
    """Uploads and deletes from several threads; `acknowledged` has what the service said it stored."""

    def __init__(self, process, session, headers):
        self.acknowledged, self.n_sent = {}, 0
        self._process, self._session, self._headers = process, session, headers
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(N_UPLOADERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _run(self, seed):
        dice = random.Random(f"{self._session}{seed}{time.monotonic()}")
        with caller(self._process.url, headers=self._headers) as client:
            while not self._stop.is_set():
                data = dice.randbytes(dice.choice((10, 70_000, 2 * MIB)))
                try:
                    self._upload(client, data, deletes=dice.random() < 0.3)
                except httpx.HTTPError:
                    return  # killed

    def _upload(self, client, data, *, deletes):
        self.n_sent += 1
        added = client.post(f"{self._session}/files", files={"file": ("a.bin", data)})
        place = added.raise_for_status().headers["Location"]
        self.acknowledged[place] = hashlib.sha256(data).hexdigest()
        if deletes:
            del self.acknowledged[place]  # a kill may come before or after its deletion
            client.delete(place).raise_for_status()


def test_killed_service_leaves_nothing_that_verify_cannot_mend(riskscan, start):
    kept, n_sent, dice, session, headers = {}, 0, random.Random(5), None, None
    for n in range(N_KILLS):
        process = start()
        headers = headers or log_in(process.url)
        with caller(process.url, headers=headers) as client:
            session = session or new_session(client)
            with Uploads(process, session, headers) as uploads:
                wanted = N_UPLOADS * (n + 1) // N_KILLS - n_sent
                wait_until(lambda: uploads.n_sent >= wanted)  # noqa: B023 - awaited in this turn
                time.sleep(dice.random() / 20)
                process.kill()
        n_sent, kept = n_sent + uploads.n_sent, kept | uploads.acknowledged
        found = verify(riskscan, "--repair")
        assert "row without bytes" not in found
        assert "bytes that changed" not in found
    assert n_sent >= N_UPLOADS
    assert "agree" in verify(riskscan)
    with caller(start().url, headers=headers) as client:
        for place, sha256 in kept.items():
            assert hashlib.sha256(client.get(f"{place}/content").content).hexdigest() == sha256


def gigabyte_form(boundary):
    """Yield a form with a file of 1 GiB."""
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'
    )
    yield head.encode()
    block = bytes(range(256)) * 4096
    yield from (block for _ in range(GIB // len(block)))
    yield f"\r\n--{boundary}--\r\n".encode()


def peak_bytes(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize("is_chunked", [False, True])
def test_upload_and_download_of_a_gigabyte_keep_memory_flat(start, is_chunked):
    process = start()
    with signed_in(process) as client:
        session = new_session(client)
        client.post(f"{session}/files", files={"file": ("a", bytes(MIB))}).raise_for_status()
        before = peak_bytes(process.pid)
        form = b"".join(part for part in gigabyte_form("b") if len(part) < MIB)
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        if not is_chunked:
            headers["Content-Length"] = str(GIB + len(form))
        added = client.post(f"{session}/files", content=gigabyte_form("b"), headers=headers)
        assert (added.status_code, added.json()["size_bytes"]) == (201, GIB)
        digest = hashlib.sha256()
        with client.stream("GET", f"{added.headers['Location']}/content") as download:
            for block in download.iter_raw():
                digest.update(block)
        assert digest.hexdigest() == added.json()["sha256"]
        assert peak_bytes(process.pid) - before < 64 * MIB
