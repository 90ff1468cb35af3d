"""The code of before the newest migration serves on the new schema; a rolling upgrade fails no request."""

import subprocess
import tarfile

import pytest

from db import migrate
from tests.e2e.conftest import ROOT
from tests.e2e.replicas import Load, Replicas
from tests.e2e.test_start_and_stop import log_in
from tests.support.calls import caller
from tests.support.databases import fresh_database
from tests.support.sentences import FLOW_TEXT

pytestmark = pytest.mark.slow
VERSIONS = ROOT / "db/migrations/versions"


def git(*arguments):
    """Return what git prints; skip the test if it cannot say."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the repository's history is not here: {getattr(error, 'stderr', error)}")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def old_code(tmp_path_factory):
    """A folder with the code as it was before the commit that added the newest migration."""
    newest = max(VERSIONS.glob("r*.py"))
    added = git("log", "--diff-filter=A", "--format=%H", "--", newest)
    if not added:
        pytest.skip(f"{newest.name} is not committed yet")
    folder = tmp_path_factory.mktemp("old")
    git("archive", f"--output={folder}/old.tar", f"{added.splitlines()[-1]}^")
    with tarfile.open(folder / "old.tar") as archive:
        archive.extractall(folder / "code", filter="data")
    assert not (folder / "code" / newest.relative_to(ROOT)).exists()
    return folder / "code"


def use(url):
    """Log in, scan, list, read and review at one replica."""
    with caller(url, headers=log_in(url, "old@corp.local")) as http:
        scan = http.post("/api/scan", json={"text": FLOW_TEXT}).raise_for_status().json()["scan_id"]
        listed = http.get("/api/scans").raise_for_status().json()["items"]
        assert scan in [item["scan_id"] for item in listed]
        assert len(http.get(f"/api/v1/scans/{scan}/findings").json()["items"]) == 2
        verdict = {"verdict": "rejected"}
        feedback = http.put(f"/api/v1/scans/{scan}/findings/1/feedback", json=verdict)
        feedback.raise_for_status()
        assert http.get("/api/v1/reviews/queue").status_code in {200, 403}


def test_rolling_upgrade_over_the_newest_migration_fails_no_request(old_code, tmp_path):
    with (
        fresh_database("mysql", tmp_path) as url,
        Replicas(tmp_path, 2, code=old_code, DATABASE_URL=url) as replicas,
    ):
        before = migrate.current(url)
        first, second = replicas.ports
        with Load(replicas.nginx, n_clients=4) as load:
            load.go_on(100)
            replicas.replace(first)
            assert before < migrate.current(url) == migrate.head()
            use(replicas.processes[second].url)  # old code on the new schema
            load.go_on(100)
            replicas.replace(second)
            load.go_on(100)
        assert load.failures == []
        print(f"{load.n_answers:,} answers, from schema {before} to {migrate.head()}")
