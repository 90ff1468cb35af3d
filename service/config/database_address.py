"""Database addresses: their driver, their permitted options, and a form without the password.

A ValueError's message completes a sentence that starts with the setting's name, and never quotes a password.
Imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_DRIVERS = {
    "sqlite": "sqlite",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "mysql+pymysql": "mysql+pymysql",
    "mariadb+pymysql": "mysql+pymysql",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_FORM = (
    "must name a file (sqlite:///folder/file.db) or read like mysql://user:password@host/database or "
    "postgresql://user:password@host/database, with special characters of the password written as %XX"
)
_SQLITE_OPTIONS = {"timeout", "isolation_level", "cached_statements"}
# PyMySQL's other options have values that a URL cannot express.
_MYSQL_OPTIONS = {
    "bind_address",
    "charset",
    "client_flag",
    "collation",
    "connect_timeout",
    "init_command",
    "local_infile",
    "program_name",
    "read_default_file",
    "read_default_group",
    "read_timeout",
    "sql_mode",
    "ssl_ca",
    "ssl_capath",
    "ssl_cert",
    "ssl_check_hostname",
    "ssl_cipher",
    "ssl_disabled",
    "ssl_key",
    "ssl_key_password",
    "ssl_verify_cert",
    "ssl_verify_identity",
    "unix_socket",
    "write_timeout",
}


def normalize(value: str) -> str:
    """Return the address with the installed driver in its scheme; an empty address stays empty.

    mysql:// and mariadb:// mean PyMySQL; postgresql:// and postgres:// mean psycopg.

    Raises:
        ValueError: the kind of database is unknown, the database is missing, or its driver rejects an option.
    """
    if not value:
        return value
    scheme, separator, rest = value.partition("://")
    driver = _DRIVERS.get(scheme.lower())
    if driver is None or not separator:
        raise ValueError("must start with sqlite:///, mysql:// or postgresql://")
    address = f"{driver}://{rest}"
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        # The cause quotes the address, password included.
        raise ValueError(_FORM) from None
    if not url.database or url.database == ":memory:":
        raise ValueError(_FORM)
    _check_options(url)
    return address


def with_tls(address: str, mode: str, ca: str, certificate: str, key: str) -> str:
    """Return the address with the driver's options for `mode`: preferred, required or verify.

    The other three are paths of PEM files, or empty. Options of the address itself take precedence.

    Raises:
        ValueError: TLS is required, and the database is a file.
    """
    url = make_url(address)
    is_required = mode in {"required", "verify"}
    if url.get_backend_name() == "sqlite":
        if is_required:
            raise ValueError("names a file, so DATABASE_TLS must be preferred")
        return address
    options = _mysql_tls if url.get_backend_name() == "mysql" else _postgresql_tls
    files = {"ca": ca, "cert": certificate, "key": key}
    wanted = options(mode if is_required else "", {k: v for k, v in files.items() if v})
    added = {name: value for name, value in wanted.items() if name not in url.query}
    return url.update_query_dict(added).render_as_string(hide_password=False) if added else address


def _mysql_tls(mode: str, files: Mapping[str, str]) -> dict[str, str]:
    # PyMySQL requires TLS as soon as it has any of these options, and verifies as soon as it has authorities.
    check = {"ssl_check_hostname": "true" if mode == "verify" else "false"}
    shown = {
        f"ssl_{name}": path for name, path in files.items() if name != "ca" or mode == "verify"
    }
    return {**shown, **check} if mode or shown else {}


def _postgresql_tls(mode: str, files: Mapping[str, str]) -> dict[str, str]:
    names = {"ca": "sslrootcert", "cert": "sslcert", "key": "sslkey"}
    modes = {"required": "require", "verify": "verify-full"}
    shown = {names[name]: path for name, path in files.items() if name != "ca" or mode == "verify"}
    return {**shown, **({"sslmode": modes[mode]} if mode else {})}


def redact(url: str) -> str:
    """Return the address for output: *** as its password, and no options, since these may contain one too."""
    return make_url(url).set(query={}).render_as_string()


def _check_options(url: URL) -> None:
    unknown = sorted(set(url.query) - _options(url))
    if unknown:
        raise ValueError(f"has the option {unknown[0]}, which {url.drivername} does not support")
    try:
        _, options = url.get_dialect()().create_connect_args(url)
    except (ArgumentError, ValueError, TypeError):
        raise ValueError(f"has an option with a value that {url.drivername} cannot read") from None
    if url.get_backend_name() == "mysql" and not _is_mysql_charset(options.get("charset")):
        raise ValueError("has a charset that MySQL does not know; without one it is utf8mb4")


def _options(url: URL) -> set[str]:
    match url.get_backend_name():
        case "sqlite":
            return _SQLITE_OPTIONS
        case "postgresql":
            from psycopg.pq import Conninfo  # noqa: PLC0415 - a driver is loaded where it is used

            return {option.keyword.decode() for option in Conninfo.get_defaults()}
        case _:
            return _MYSQL_OPTIONS


def _is_mysql_charset(name: object) -> bool:
    from pymysql.charset import charset_by_name  # noqa: PLC0415 - as above

    return name is None or (isinstance(name, str) and charset_by_name(name) is not None)
