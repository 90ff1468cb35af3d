"""Runs nginx with the shipped site, as the current user, in a folder of its own."""

import ipaddress
import os
import re
import shutil
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.waiting import PATIENCE_S

SHIPPED = Path(__file__).resolve().parents[2] / "service/server/nginx.conf"
NEIGHBOUR = "neighbour.corp.local"
# Debian's nginx.conf with the two values that the site's comment recommends, and a second site.
_NGINX_CONF = """
worker_processes auto;
worker_rlimit_nofile 16384;
error_log {folder}/error.log;
events {{
    worker_connections 4096;
}}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    server_tokens off;
    default_type application/octet-stream;
    keepalive_timeout 75s;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    access_log {folder}/other.log;
    gzip on;
    {temporary}
    include {folder}/conf.d/*.conf;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name {neighbour};
        ssl_certificate {folder}/fullchain.pem;
        ssl_certificate_key {folder}/privkey.pem;
        return 200 "another site";
    }}
}}
"""
_SERVER = re.compile(r"^ +server 127\.0\.0\.1:8000.*\n", re.MULTILINE)
_TEMPORARY = " ".join(
    f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


def program():
    """Return the path of nginx; skip the test if it is missing, or fail if RISKSCAN_TEST_REQUIRE names it."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    executable = shutil.which("nginx", path=path)
    if executable is None:
        message = "nginx is not installed (Debian: apt-get install nginx-light)"
        if "nginx" in os.environ.get("RISKSCAN_TEST_REQUIRE", "").split(","):
            pytest.fail(message)
        pytest.skip(message)
    return executable


class Nginx:
    """nginx on `port` in front of services on `service_ports`; `tls` trusts its certificate."""

    def __init__(self, folder, *service_ports, port):
        self.port = port
        self.url = f"https://127.0.0.1:{port}"
        self._folder = folder
        _make_certificate(folder)
        self.tls = ssl.create_default_context(cafile=folder / "fullchain.pem")
        (folder / "conf.d").mkdir()
        (folder / "conf.d/riskscan.conf").write_text(_adapted(folder, port, service_ports))
        nginx_conf = _NGINX_CONF.format(
            folder=folder, port=port, temporary=_TEMPORARY, neighbour=NEIGHBOUR
        )
        (folder / "nginx.conf").write_text(nginx_conf)
        directives = "daemon off; pid nginx.pid;" + (" user root;" if os.geteuid() == 0 else "")
        command = [program(), "-p", folder, "-c", folder / "nginx.conf", "-g", directives]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def caller(self, address="127.0.0.1", **options):
        """Return a client that connects from `address` in 127.0.0.0/8; the test closes it."""
        transport = httpx.HTTPTransport(verify=self.tls, local_address=address)
        options = {"timeout": PATIENCE_S, **options}
        return httpx.Client(base_url=self.url, transport=transport, **options)

    def when_ready(self):
        deadline = time.monotonic() + PATIENCE_S
        with self.caller() as http:
            while time.monotonic() < deadline and self._process.poll() is None:
                try:
                    http.get("/health").raise_for_status()
                except httpx.TransportError:
                    time.sleep(0.05)
                else:
                    return self
        raise AssertionError(self._process.stderr.read().decode())

    def access_log(self):
        return (self._folder / "access.log").read_text().splitlines()

    def stop(self):
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._process.stderr.close()


def _adapted(folder, port, service_ports):
    """Return the shipped site with its addresses and folders replaced, and a server for each service."""
    text = _SERVER.sub(
        lambda line: "".join(line[0].replace(":8000", f":{port}") for port in service_ports),
        SHIPPED.read_text(),
    )
    for shipped, ours in {
        "listen 443 ssl;\n": f"listen 127.0.0.1:{port} ssl;\n",
        "    listen [::]:443 ssl;\n": "",
        "/etc/nginx/tls/fullchain.pem": f"{folder}/fullchain.pem",
        "/etc/nginx/tls/privkey.pem": f"{folder}/privkey.pem",
        "/var/log/nginx/error.log": f"{folder}/error.log",
        "/var/log/nginx/access.log": f"{folder}/access.log",
    }.items():
        assert shipped in text, f"{shipped!r} in {SHIPPED}"
        text = text.replace(shipped, ours)
    return text


def _make_certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "riskscan test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=12))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
