"""Zip archives that become batches: what is taken, and what is refused before or while it is read."""

import io
import stat
import struct
import zipfile

import pytest

from service.domain.batches.archive import archived_files
from service.errors import InvalidRequest, TooLarge, UnreadableDocument
from tests.support.office_files import zipped


def names(data, *, max_files=10):
    """Read an archive whole and return the names of its files."""
    found = []
    for file in archived_files(io.BytesIO(data), max_files=max_files):
        while file.stream.read(65536):
            pass
        found.append(file.name)
    return found


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def encrypted():
    data = bytearray(zipped([("a.txt", b"secret")]))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(mark) + offset
        data[at : at + 2] = struct.pack("<H", 1)
    return bytes(data)


def test_files_are_read_in_order_without_folders_and_leftovers():
    files = [
        ("b/", b""),
        ("b/2.txt", b"2"),
        ("a.txt", b"1"),
        ("__MACOSX/x", b""),
        (".DS_Store", b""),
    ]
    assert names(zipped(files)) == ["b/2.txt", "a.txt"]


def test_office_documents_are_no_archives_within_the_archive():
    assert names(zipped([("a.docx", zipped([("word/document.xml", b"<a/>")]))])) == ["a.docx"]


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../a.txt", "a/../../b.txt", "..\\a.txt", "C:\\a.txt", "a/..", "\\\\host\\a"],
)
def test_path_that_leads_out_of_the_folder_is_refused(path):
    with pytest.raises(InvalidRequest, match="leads out of the archive's folder"):
        names(zipped([("ok.txt", b"ok"), (path, b"x")]))


@pytest.mark.parametrize("name", ["inner.zip", "logs.tar.gz", "a/b.7z", "X.RAR"])
def test_archive_within_the_archive_is_refused(name):
    with pytest.raises(InvalidRequest, match="is an archive itself"):
        names(zipped([(name, b"PK")]))


def test_link_is_refused():
    with pytest.raises(InvalidRequest, match="is a link"):
        names(zipped([(link("a.txt"), b"/etc/passwd")]))


def test_encrypted_file_is_refused_with_its_name():
    with pytest.raises(UnreadableDocument, match=r"a\.txt in the archive is encrypted"):
        names(encrypted())


def test_too_many_files_are_refused_before_any_is_read():
    data = zipped([(f"{n}.txt", b"x") for n in range(11)])
    with pytest.raises(TooLarge, match="11 files; a batch has at most 10"):
        next(archived_files(io.BytesIO(data), max_files=10))


def test_list_of_files_that_would_fill_the_memory_is_refused():
    data = zipped([(f"{n}{'x' * 200}.txt", b"") for n in range(1_000)])
    with pytest.raises(TooLarge, match="list of files is too long"):
        names(data, max_files=1)


def test_bomb_is_refused_while_it_inflates():
    data = zipped([("bomb.txt", bytes(50_000_000))])
    assert len(data) < 100_000
    with pytest.raises(TooLarge, match="inflates to more than 200 times its size"):
        names(data)


def lying(declared):
    """Return an archive whose directory declares another size than the file has."""
    data = bytearray(zipped([("a.txt", b"The vendor may fail. " * 1_000)]))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", declared)
    return bytes(data)


def test_declared_size_below_the_real_one_is_refused():
    with pytest.raises(UnreadableDocument, match="damaged"):
        names(lying(5))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"no zip",
        zipped([("a.txt", b"a" * 999)])[:-30],
    ],
    ids=["empty", "two bytes", "no zip", "cut off"],  # the last has the time of its making
)
def test_damaged_archive_is_refused(data):
    with pytest.raises(UnreadableDocument, match="damaged"):
        names(data)


def test_changed_bytes_are_refused():
    data = bytearray(zipped([("a.txt", b"The vendor may fail. " * 50)]))
    data[40] ^= 0xFF
    with pytest.raises(UnreadableDocument, match="damaged"):
        names(bytes(data))


def test_entries_that_share_their_bytes_are_refused():
    data = bytearray(zipped([("a.txt", b"a" * 100), ("b.txt", b"b" * 100)]))
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    with pytest.raises(UnreadableDocument):
        names(bytes(data))
