"""`backup` and `restore`: every row between all kinds of databases, and refusals of what is not whole."""

import copy
import hashlib
import io
import os
import shutil
import tarfile
from contextlib import ExitStack
from functools import partial

import pytest
from backports import zstd
from sqlalchemy import delete, update

from db import migrate, whole_database
from db.engines import open_unpooled_engine
from db.queries.files import list_files
from db.queries.users import list_users
from db.tables import AuditEvent, AuditSeal, Base, Deployment, File
from service.config.settings import load
from service.domain.audit import UNKNOWN
from service.domain.backup import Backup
from service.domain.files import work_sessions
from service.domain.files.file_store import FileStore
from service.domain.files.files import Upload
from service.domain.services import build_services
from tests.db.old_rows import ROWS, USER, add_orphan, add_rows
from tests.db.test_upgrade_with_rows import upgrade_by_single_revisions
from tests.support.backups import (
    header_of,
    members_of,
    rows_by_table,
    write_archive_of_older_schema,
    write_members,
)
from tests.support.databases import fresh_database

EXACT = {"detail": {"ü": [1, 2.5, None, 2**60, "\u2028\x07"], "a": {}}, "n": None, "digest": None}


DATA, KEY = b"Angebot", "k" * 32


@pytest.fixture(scope="module")
def filled_url(tmp_path_factory):
    """An SQLite database with rows in every table."""
    with fresh_database("sqlite", tmp_path_factory.mktemp("filled")) as url:
        upgrade_by_single_revisions(url)
        with open_unpooled_engine(url).begin() as connection:
            connection.execute(delete(AuditSeal))
            connection.execute(update(AuditEvent).values(**EXACT))
            connection.execute(update(File).values(sha256=hashlib.sha256(DATA).hexdigest()))
            connection.execute(
                update(Deployment).values(to_model="b/1", share=0.1 + 0.2, metrics={"x": 1e-300})
            )
        with build_services(load({"DATABASE_URL": url, "SECRET_KEY": KEY})) as services:
            services.audit_seals.seal()
        yield url


@pytest.fixture
def stored(tmp_path):
    """The bytes of the filled database's file, in the commands' data folder."""
    return FileStore(tmp_path / "data" / "files" / USER).write(io.BytesIO(DATA))


@pytest.fixture
def archive(riskscan, filled_url, stored, tmp_path):  # noqa: ARG001 - its bytes are on disk
    """A backup of the filled database."""
    result = riskscan("backup", tmp_path / "a.tar.zst", DATABASE_URL=filled_url)
    assert result.returncode == 0, result.stderr
    return tmp_path / "a.tar.zst"


@pytest.fixture
def empty_url(tmp_path):
    return f"sqlite:///{tmp_path / 'restored.db'}"


@pytest.mark.system
@pytest.mark.usefixtures("stored")
def test_rows_survive_the_way_through_every_kind_of_database(riskscan, filled_url, tmp_path):
    expected = rows_by_table(filled_url)
    assert [name for name, rows in expected.items() if not rows] == []
    url, kinds = filled_url, ("mysql", "sqlite", "postgresql", "mysql", "postgresql", "sqlite")
    with ExitStack() as stack:
        for step, kind in enumerate(kinds):
            path = tmp_path / f"{step}.tar.zst"
            assert riskscan("backup", path, DATABASE_URL=url).returncode == 0
            url = stack.enter_context(fresh_database(kind, tmp_path))
            restored = riskscan("restore", path, DATABASE_URL=url)
            assert restored.returncode == 0, restored.stderr
            assert rows_by_table(url) == expected, kind


def test_backup_of_an_older_schema_is_upgraded(riskscan, backend, tmp_path):
    path = tmp_path / "old.tar.zst"
    with fresh_database("sqlite", tmp_path) as old, fresh_database(backend, tmp_path) as new:
        migrate.upgrade(old, "0004")
        with open_unpooled_engine(old).begin() as connection:
            add_rows(connection, ROWS)
        migrate.upgrade(old, "0020")
        write_archive_of_older_schema(old, path)
        restored = riskscan("restore", path, DATABASE_URL=new)
        assert restored.returncode == 0, restored.stderr
        assert f"at revision {migrate.head()}, 0020 before" in restored.stdout
        migrate.upgrade(old)
        assert rows_by_table(new) == rows_by_table(old)


def test_backup_of_a_newer_version_is_refused(riskscan, archive, empty_url, tmp_path):
    members = members_of(archive)
    header = header_of(Base.metadata.sorted_tables, "9999")
    members[0] = _member("header.json", header.model_dump_json().encode())
    write_members(tmp_path / "new.tar.zst", members)
    result = riskscan("restore", tmp_path / "new.tar.zst", DATABASE_URL=empty_url)
    assert (result.returncode, result.stdout) == (1, "")
    assert "Version 0.9.0 wrote this backup, with schema 9999" in result.stderr
    assert whole_database.table_names(empty_url) == set()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_archive_that_is_cut_off_is_refused(riskscan, archive, empty_url, share):
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])
    _refuse(riskscan, archive, empty_url)


def test_archive_without_its_last_member_is_refused(riskscan, archive, empty_url):
    write_members(archive, members_of(archive)[:-1])
    assert "manifest is missing" in _refuse(riskscan, archive, empty_url)


def test_archive_with_one_changed_digit_is_refused(riskscan, archive, empty_url):
    members = members_of(archive)
    n = next(n for n, (info, _) in enumerate(members) if info.name.startswith("tables/findings/"))
    info, data = members[n]
    members[n] = info, data.replace(b"0.5", b"0.6", 1)
    write_members(archive, members)
    assert "rows of findings differ" in _refuse(riskscan, archive, empty_url)


def _member(name, data, **changed):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in changed.items():
        setattr(info, key, value)
    return info, data


HOSTILE = {
    "traversal": _member("../../etc/cron.d/x", b"x"),
    "traversal of a store": _member(f"f/{'..' * 16}/{'0' * 64}", b"x"),
    "absolute": _member("/etc/passwd", b"x"),
    "link": _member(f"f/{'0' * 32}/{'0' * 64}", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": _member(f"f/{'0' * 32}/{'0' * 64}", b"", type=tarfile.LNKTYPE, linkname="x"),
    "device": _member("tables/users/000002.jsonl", b"", type=tarfile.CHRTYPE),
    "long name": _member(f"f/{'0' * 32}/{'0' * 99}", b"x"),
    "changed file": _member(f"f/{'0' * 32}/{'0' * 64}", b"x"),
    "unknown table": _member("tables/alembic_version/000001.jsonl", b'["0001"]\n'),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_member_is_refused(riskscan, archive, empty_url, tmp_path, hostile):
    first, *others = members_of(archive)
    write_members(archive, [first, copy.deepcopy(hostile), *others])
    shutil.rmtree(tmp_path / "data")
    _refuse(riskscan, archive, empty_url)
    assert not list(tmp_path.glob("data/files/*"))


def test_giant_member_is_refused_before_it_is_read(riskscan, archive, empty_url):
    header = tarfile.TarInfo("header.json")
    header.size = 1 << 50
    archive.write_bytes(zstd.compress(header.tobuf(tarfile.GNU_FORMAT)))
    assert "1,125,899,906,842,624 bytes" in _refuse(riskscan, archive, empty_url)


def test_member_behind_the_manifest_is_refused(riskscan, archive, empty_url):
    write_members(archive, [*members_of(archive), _member("tables/users/000002.jsonl", b"[]\n")])
    assert "something follows its end" in _refuse(riskscan, archive, empty_url)


def _refuse(riskscan, path, url):
    for command in ([], ["--check"], ["--replace", "--yes"]):
        result = riskscan("restore", *command, path, DATABASE_URL=url)
        assert (result.returncode, result.stdout) == (1, "")
        assert "damaged or cut off" in result.stderr
    assert whole_database.table_names(url) == set()
    return result.stderr


@pytest.mark.system
def test_database_with_rows_is_replaced_only_on_request(
    riskscan, archive, filled_url, backend, tmp_path
):
    with fresh_database(backend, tmp_path) as url:
        account = ("users", "create", "old@corp.local")
        assert riskscan(*account, stdin="long enough\n", DATABASE_URL=url).returncode == 0
        refused = riskscan("restore", archive, DATABASE_URL=url)
        assert "is not empty: audit_events, users" in refused.stderr
        declined = riskscan("restore", archive, "--replace", stdin="n\n", DATABASE_URL=url)
        assert (refused.returncode, declined.returncode) == (1, 1)
        assert "old@corp.local" in repr(rows_by_table(url)["users"])
        replaced = riskscan("restore", archive, "--replace", stdin="y\n", DATABASE_URL=url)
        assert replaced.returncode == 0, replaced.stderr
        assert rows_by_table(url) == rows_by_table(filled_url)


def test_restore_leaves_the_tables_of_another_program_alone(riskscan, archive, empty_url):
    with open_unpooled_engine(empty_url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE wiki (page INTEGER)")
    result = riskscan("restore", archive, "--replace", "--yes", DATABASE_URL=empty_url)
    assert (result.returncode, "such as wiki" in result.stderr) == (1, True)
    assert whole_database.table_names(empty_url) == {"wiki"}


def test_restore_names_what_the_operator_has_to_do(riskscan, archive, empty_url):
    result = riskscan("restore", archive, DATABASE_URL=empty_url, SECRET_KEY="x" * 32)
    [line] = [part for part in result.stdout.splitlines() if part.startswith("SECRET_KEY")]
    for kind in ("log-ins", "API keys", "links", "webhook", "seals"):
        assert kind in line
    assert "The activated model b/1 is not usable" in result.stdout


def test_restore_keeps_and_names_rows_without_an_owner(riskscan, backend, tmp_path):
    path = tmp_path / "a.tar.zst"
    with fresh_database("sqlite", tmp_path) as url, fresh_database(backend, tmp_path) as new:
        migrate.upgrade(url)
        add_orphan(url)
        assert riskscan("backup", path, DATABASE_URL=url).returncode == 0
        restored = riskscan("restore", path, DATABASE_URL=new)
        assert restored.returncode == 0, restored.stderr
        assert "scans: 1 rows have no row in users" in restored.stdout


def test_restored_audit_trail_is_verified(riskscan, tmp_path):
    path = tmp_path / "a.tar.zst"
    for name in ("ada", "bob"):
        riskscan("users", "create", f"{name}@corp.local", stdin="long enough\n")
    assert riskscan("audit", "seal").returncode == 0
    assert riskscan("backup", path).returncode == 0
    other = str(tmp_path / "other")
    restored = riskscan("restore", path, DATA_DIR=other)
    assert "Sealed audit events in order: 2" in restored.stdout
    assert riskscan("audit", "seal", DATA_DIR=other).returncode == 0
    assert "in order: 3" in riskscan("audit", "verify", DATA_DIR=other).stdout


def test_backup_replaces_no_file_and_leaves_none_after_a_failure(riskscan, archive, tmp_path):
    again = riskscan("backup", archive)
    assert (again.returncode, "exists already" in again.stderr) == (1, True)
    failed = riskscan("backup", tmp_path / "b.tar.zst", DATABASE_URL="mysql://root@127.0.0.1:9/x")
    assert failed.returncode == 1
    assert "does not answer" in failed.stderr
    assert not [*tmp_path.glob("b.*"), *tmp_path.glob(".b.*")]


def test_backup_is_readable_by_its_owner_only(archive):
    assert archive.stat().st_mode & 0o777 == 0o600


def test_backup_of_an_outdated_schema_names_the_remedy(riskscan, tmp_path, empty_url):
    migrate.upgrade(empty_url, "0020")
    result = riskscan("backup", tmp_path / "a.tar.zst", DATABASE_URL=empty_url)
    assert (result.returncode, "db upgrade" in result.stderr) == (1, True)


def test_files_are_restored_and_their_loss_is_reported(
    riskscan, archive, stored, empty_url, tmp_path
):
    path = tmp_path / "data" / "files" / USER / stored.sha256[:2] / stored.sha256
    path.unlink()
    assert riskscan("restore", archive, DATABASE_URL=empty_url).returncode == 0
    assert path.read_bytes() == DATA
    path.write_bytes(b"changed")
    for damage, message in ((lambda: None, "changed: files/"), (path.unlink, "missing: files/")):
        damage()
        damaged = tmp_path / f"{message[:7]}.tar.zst"
        lost = riskscan("backup", damaged, DATABASE_URL=empty_url)
        assert (lost.returncode, f"{message}{USER}/{stored.sha256}" in lost.stderr) == (1, True)
        assert riskscan("restore", damaged, "--check", DATABASE_URL=empty_url).returncode == 0
        restored = riskscan("restore", damaged, "--replace", "--yes", DATABASE_URL=empty_url)
        assert restored.returncode == 0, restored.stderr


class _WithWriter(io.BytesIO):
    """An output during whose first writes another process writes the database."""

    def __init__(self, write):
        super().__init__()
        self._act = write

    def write(self, data):
        act, self._act = self._act, lambda: None
        act()
        return super().write(data)


def test_backup_has_the_rows_of_one_moment_while_others_write(own_database_url, tmp_path):
    config = load({"DATA_DIR": str(tmp_path / "data"), "DATABASE_URL": own_database_url})
    with build_services(config) as services:
        user = services.accounts.register("a@corp.local", "correct horse")
        create = partial(work_sessions.create, max_sessions=9)
        session_id = services.transactions.run(create, user.id, "s").work_session.id
        for n in range(3):
            stream = io.BytesIO(os.urandom(2**20))
            services.files.add(user.id, session_id, Upload(f"{n}", "text/plain", stream))
        files = services.transactions.read(list_files, session_id, limit=9)
        last = max(files, key=lambda file: file.sha256)

        def write_meanwhile():
            services.files.delete(user.id, session_id, last.id)
            services.accounts.register("late@corp.local", "correct horse")

        stores = {"f": services.files, "o": services.originals}
        backup = Backup(services.signing_config, services.transactions, stores)
        written = _WithWriter(write_meanwhile)
        report = backup.write(written, actor=UNKNOWN)
        names = [user.email for user in services.transactions.read(list_users)]
    assert sorted(names) == ["a@corp.local", "late@corp.local"]
    assert (report.manifest.tables["users"].rows, report.manifest.tables["files"].rows) == (1, 3)
    assert (report.n_deleted, report.lost) == (1, [])
