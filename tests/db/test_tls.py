"""DATABASE_TLS on a real MariaDB with certificates of an authority of the test's own."""

import pytest
import trustme
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from db.engines import open_engine
from service.config.settings import load
from service.errors import ConfigError
from tests.support.mariadb import MariaDb


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """An authority; its certificate is in `folder / "ca.pem"`."""
    authority = trustme.CA()
    authority.folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(authority.folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(authority.folder / "foreign.pem")
    return authority


@pytest.fixture(scope="module")
def server(authority):
    folder = authority.folder
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "server.pem")
    issued.private_key_pem.write_to_path(folder / "server.key")
    files = [
        f"--ssl-{name}={folder / file}"
        for name, file in (("ca", "ca.pem"), ("cert", "server.pem"), ("key", "server.key"))
    ]
    server = MariaDb(folder, *files)
    yield server
    server.kill()


@pytest.fixture
def plain_server(tmp_path):
    """A server that offers no TLS."""
    server = MariaDb(tmp_path, "--skip-ssl")
    yield server
    server.kill()


def cipher(url, **settings):
    """Connect as the service does; return the cipher of the connection, empty without TLS."""
    config = load({"DATABASE_URL": url, **settings})
    engine = open_engine(config.database_url, pool_size=1)
    try:
        with engine.connect() as connection:
            return connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1]
    finally:
        engine.dispose()


def test_required_encrypts_without_a_look_at_the_certificate(server):
    assert cipher(server.url, DATABASE_TLS="required")


def test_verify_accepts_a_certificate_of_its_authority(server, authority):
    assert cipher(
        server.url, DATABASE_TLS="verify", DATABASE_TLS_CA=str(authority.folder / "ca.pem")
    )


def test_verify_refuses_a_certificate_of_another_authority(server, authority):
    foreign = str(authority.folder / "foreign.pem")
    with pytest.raises(OperationalError, match="CERTIFICATE_VERIFY_FAILED"):
        cipher(server.url, DATABASE_TLS="verify", DATABASE_TLS_CA=foreign)


def test_verify_refuses_a_certificate_for_another_host(server, authority):
    url = server.url.replace("127.0.0.1", "localhost")
    with pytest.raises(OperationalError, match="CERTIFICATE_VERIFY_FAILED"):
        cipher(url, DATABASE_TLS="verify", DATABASE_TLS_CA=str(authority.folder / "ca.pem"))


def test_preferred_encrypts_if_the_server_offers_it(server):
    assert cipher(server.url)


def test_required_refuses_a_server_without_tls(plain_server):
    assert cipher(plain_server.url) == ""
    with pytest.raises(OperationalError, match="SSL"):
        cipher(plain_server.url, DATABASE_TLS="required")


def test_server_that_demands_a_certificate_gets_the_services(server, authority):
    client = authority.issue_cert("riskscan@corp.local")
    certificate, key = authority.folder / "client.pem", authority.folder / "client.key"
    client.cert_chain_pems[0].write_to_path(certificate)
    client.private_key_pem.write_to_path(key)
    with server.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE USER riskscan@'127.0.0.1' REQUIRE X509")
        cursor.execute("GRANT ALL ON riskscan.* TO riskscan@'127.0.0.1'")
    url = server.url.replace("root@", "riskscan@")
    with pytest.raises(OperationalError, match="Access denied"):
        cipher(url, DATABASE_TLS="required")
    files = {"DATABASE_TLS_CERT": str(certificate), "DATABASE_TLS_KEY": str(key)}
    assert cipher(url, DATABASE_TLS="required", **files)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"DATABASE_TLS": "verify"}, "DATABASE_TLS_CA is missing"),
        ({"DATABASE_TLS_CA": "/nonexistent/ca.pem"}, "DATABASE_TLS_CA must name a file"),
        ({"DATABASE_TLS_CERT": __file__}, "DATABASE_TLS_KEY and DATABASE_TLS_CERT belong together"),
        (
            {"DATABASE_TLS": "required", "DATABASE_URL": "sqlite:///r.db"},
            "DATABASE_URL names a file",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, fault):
    with pytest.raises(ConfigError, match=fault):
        load({"DATABASE_URL": "mysql://u@h/d", **settings})


def test_postgresql_gets_its_own_options():
    verify = {"DATABASE_TLS": "verify", "DATABASE_TLS_CA": __file__}
    config = load({"DATABASE_URL": "postgresql://u@h/d", **verify})
    assert "sslmode=verify-full" in config.database_url
    assert "sslrootcert=" in config.database_url
    own = {"DATABASE_URL": "postgresql://u@h/d?sslmode=disable", "DATABASE_TLS": "required"}
    assert load(own).database_url.endswith("?sslmode=disable")
