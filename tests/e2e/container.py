"""Runs a built image as compose does: read-only, without capabilities."""

import os
import secrets
import shutil
import subprocess
import time

import httpx
import pytest

from tests.support.calls import HTTP
from tests.support.free_ports import free_port
from tests.support.waiting import PATIENCE_S

IMAGE = os.environ.get("RISKSCAN_TEST_IMAGE", "")
ENGINE = os.environ.get("RISKSCAN_TEST_ENGINE", "docker")
CONFINED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]


def engine(*arguments, stdin=""):
    """Run the container engine; return its standard output."""
    done = subprocess.run(
        [ENGINE, *map(str, arguments)], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def image():
    """Return the image to test; skip the test if RISKSCAN_TEST_IMAGE is not set."""
    if not IMAGE:
        pytest.skip("RISKSCAN_TEST_IMAGE names no image, such as riskscan:cpu")
    assert shutil.which(ENGINE), f"RISKSCAN_TEST_ENGINE={ENGINE} is not installed"
    return IMAGE


class Container:
    """A running container on the host's network, in production mode; `settings` are added.

    Without `arguments` it serves; with them it runs that command of the service.
    """

    def __init__(self, *arguments, **settings):
        self.name = f"riskscan-test-{secrets.token_hex(4)}"
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.ops_url = f"http://127.0.0.1:{(ops_port := free_port())}"
        settings = {
            "HOST": "127.0.0.1",
            "PORT": port,
            "OPS_PORT": ops_port,
            "SECRET_KEY": secrets.token_hex(32),
            "JWT_SECRET": secrets.token_hex(32),
            "MODEL_POLL_S": 1,
            **settings,
        }
        environment = [f"--env={name}={value}" for name, value in settings.items()]
        placement = ["--network=host", "--tmpfs=/tmp:size=1g", "--no-healthcheck"]
        command = ["run", "--detach", f"--name={self.name}", *CONFINED, *placement, *environment]
        engine(*command, image(), *arguments)

    def when_ready(self):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if HTTP.get(f"{self.ops_url}/health/ready").status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise AssertionError(self.logs())

    def service(self, *arguments, stdin=""):
        """Run `python -m service` with arguments in the container; return its standard output."""
        return engine("exec", "-i", self.name, "python", "-m", "service", *arguments, stdin=stdin)

    def copy(self, source, target):
        engine("cp", source, f"{self.name}:{target}")

    def ends(self):
        """Wait until the command has ended; return its exit status and its output."""
        return int(engine("wait", self.name)), self.logs()

    def logs(self):
        done = subprocess.run(
            [ENGINE, "logs", self.name], capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def remove(self):
        engine("stop", "-t", "40", self.name)
        engine("rm", "--force", "--volumes", self.name)
