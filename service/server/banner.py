"""The lines that start-up prints for the person at the terminal."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from service.config.settings import Config


def print_banner(config: Config, port: int) -> None:
    """Print the address, the documentation's address, and a first command to try."""
    host = config.host
    shown_host = "localhost" if host in {"0.0.0.0", "127.0.0.1", "::"} else host  # noqa: S104 - compared, not bound
    address = f"http://{shown_host}:{port}"
    sys.stdout.write(
        f"Riskscan serves on {address}\n"
        f"Documentation:     {address}/docs\n"
        f"{_first_command(config, address)}\n"
    )
    sys.stdout.flush()


def _first_command(config: Config, address: str) -> str:
    if config.registration == "closed" and not config.ai_service_open:
        return f"Make an account:   {_python()} -m service users create you@corp.local --admin"
    return f"Try:               {_first_request(address, is_open=config.ai_service_open)}"


def _python() -> str:
    """Return this interpreter's path; the one on PATH may lack the service's packages."""
    program = Path(sys.executable)
    here = Path.cwd()
    return shlex.quote(str(program.relative_to(here) if program.is_relative_to(here) else program))


def _first_request(address: str, *, is_open: bool) -> str:
    scan = f"curl -s {address}/scan -F 'text=Project has tight budget and aggressive deadline'"
    if is_open:
        return scan
    return (
        f"curl -s {address}/api/auth/register -H 'Content-Type: application/json' "
        """-d '{"email":"test@test.com","password":"test123"}'; """
        f"T=$(curl -s {address}/api/auth/login -d 'username=test@test.com&password=test123' "
        """| sed 's/.*"access_token":"\\([^"]*\\).*/\\1/'); """
        f"""{scan.replace("/scan", "/api/scan", 1)} -H "Authorization: Bearer $T" """
    )
