"""The variables that only compose.yaml reads from .env: name, default and help text."""

from __future__ import annotations

COMPOSE_VARIABLES: dict[str, tuple[str, str]] = {
    "MYSQL_PASSWORD": (
        "",
        "Password of the service in MySQL, letters and digits only; `openssl rand -hex 32` creates one.",
    ),
    "REDIS_PASSWORD": ("", "Password of the service in Redis; as MYSQL_PASSWORD."),
    "PUBLISH": ("127.0.0.1:8000", "Host address and port of the API without TLS."),
    "OPS_PUBLISH": ("127.0.0.1:8001", "Host address and port of /health and /metrics."),
    "PUBLISH_TLS": ("443", "Host port of the API with TLS."),
    "TLS_DIR": ("./tls", "Folder with fullchain.pem and privkey.pem for nginx."),
    "SUBNET": ("172.30.83", "First three numbers of the /24 network that Compose creates."),
}
