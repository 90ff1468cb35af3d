"""`files verify` covers the originals of documents."""

import hashlib

import pytest

from db.queries.documents import list_documents
from db.queries.reach import EVERYONE
from service.domain.preferences import Preferences
from service.nlp.pipeline import Submission

DATA = b"We have a tight budget."
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def kept(riskscan, services):
    """The path of the stored bytes of a scanned file."""
    riskscan("db", "upgrade")
    user = services.accounts.register("a@corp.local", "correct horse")
    submission = Submission(data=DATA, filename="a.txt")
    keep = Preferences(store_original=True)
    services.scans.create(user.id, submission, key=None, preferences=keep)
    [path] = (services.config.data_dir / "originals").glob("*/??/*")
    return path


def add_other(path):
    folder = path.parents[1] / "aa"
    folder.mkdir()
    (folder / ("a" * 64)).write_bytes(b"x")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (add_other, "bytes without a row"),
        (lambda path: path.write_bytes(b"changed"), "bytes that changed"),
        (lambda path: path.unlink(), "row without bytes"),
    ],
)
def test_damaged_original_is_reported_and_mended(riskscan, services, kept, damage, message):
    assert riskscan("files", "verify").returncode == 0
    damage(kept)
    listing = riskscan("files", "verify")
    assert (listing.returncode, message in listing.stdout) == (1, True)
    assert riskscan("files", "verify", "--repair").returncode == 0
    assert "agree" in riskscan("files", "verify").stdout
    [document] = services.transactions.read(list_documents, EVERYONE, limit=9)
    is_kept = damage is add_other
    assert (document.original_sha256 == SHA256, kept.exists()) == (is_kept, is_kept)
