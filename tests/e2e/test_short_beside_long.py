"""Fair scheduling: short texts are answered while a book is being analyzed."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.support.sentences import FLOW_TEXT, long_text
from tests.support.waiting import PATIENCE_S


def scan(process, text):
    with httpx.Client(timeout=PATIENCE_S) as client:
        return client.post(f"{process.url}/scan", json={"text": text})


def test_paragraphs_during_the_scan_of_a_2_mb_book_are_answered(start):
    process = start(AI_SERVICE_OPEN="true", CACHE_SENTENCES="0", INFERENCE_THREADS="1")
    with ThreadPoolExecutor(1) as pool:
        book = pool.submit(scan, process, long_text(35_000)[:2_000_000])
        process.wait_until_busy()
        for n in range(10):
            answer = scan(process, f"{long_text(4)} {FLOW_TEXT} of {n} weeks.")
            assert answer.status_code == 200
            assert len(answer.json()["data"]) >= 1
        assert not book.done()
        process.kill()  # the book would take another minute
        assert isinstance(book.exception(PATIENCE_S), httpx.TransportError)
