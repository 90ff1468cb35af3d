"""Slow files delay only their sender."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.support import documents
from tests.support.waiting import wait_until

N_CLIENTS = 6
SMALL = documents.pdf_of_pages([[documents.PLANTED]])


@pytest.fixture(scope="module")
def live(start_service):
    """One service, whatever the database, in which six slow files take longer than a caller waits."""
    return start_service(EXTRACT_TIMEOUT_S="6")


@pytest.fixture(scope="module")
def slow():
    """A small file that takes its reader seconds."""
    return documents.docx_of_xml("<w:p/>" * 5_000_000)


def send(user, filename, data):
    return user.http.post("/api/scan", files={"file": (filename, data)})


@pytest.mark.system
def test_scan_of_a_file_proceeds_while_another_user_sends_six_slow_files(new_user, slow):
    attacker, honest = new_user(), new_user()
    over, answers = threading.Event(), []

    def attack():
        while not over.is_set():
            answers.append(send(attacker, "a.docx", slow))

    with ThreadPoolExecutor(N_CLIENTS) as pool:
        for _ in range(N_CLIENTS):
            pool.submit(attack)
        wait_until(psutil.Process().children)
        honest_answers = [send(honest, "a.pdf", SMALL) for _ in range(4)]
        wait_until(lambda: len(answers) >= N_CLIENTS)
        over.set()
    assert [answer.status_code for answer in honest_answers] == [201] * 4
    rejections = [answer.json() for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} <= {400, 413, 429}
    assert rejections
    assert all("your share" in problem["detail"] for problem in rejections)
