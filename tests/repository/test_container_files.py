"""Dockerfiles, .dockerignore and compose agree with each other and with .env.example."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import psutil
import pytest
import redis
import yaml
from docker.utils.build import PatternMatcher

from service import __version__
from service.cli.main import main
from service.config.settings import NAMES, load
from tests.support.free_ports import free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = ("Dockerfile.cpu", "Dockerfile.gpu")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
GPU = yaml.safe_load((ROOT / "compose.gpu.yaml").read_text())
EXAMPLE = (ROOT / ".env.example").read_text()
REPLICAS = ("riskscan", "replica")
BUILT = "models_cache/riskscan-accurate/"


def is_ignored(path):
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return PatternMatcher([p for p in lines if p and not p.startswith("#")]).matches(path)


def copied_files(dockerfile):
    """Yield each file that a Dockerfile copies, but for a model that `make accurate` built here."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / dockerfile).read_text(), re.MULTILINE)
    for source in " ".join(lines).split():
        path = ROOT / source
        files = path.rglob("*") if path.is_dir() else [path]
        found = (f.relative_to(ROOT).as_posix() for f in files if "__pycache__" not in f.parts)
        yield from (name for name in found if not f"{name}/".startswith(BUILT))


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_dockerfile_copies_no_file_that_dockerignore_excludes(dockerfile):
    copied = list(copied_files(dockerfile))
    assert "models_cache/CURRENT" in copied
    assert all((ROOT / path).exists() for path in copied)
    assert not [path for path in copied if is_ignored(path)]


@pytest.mark.parametrize(
    "path",
    [".env", ".git/config", "tls/privkey.pem", "var/riskscan.db", f"{BUILT}1.0.0/manifest.json"],
)
def test_secrets_data_and_built_models_stay_out_of_the_images(path):
    assert is_ignored(path)


def test_dockerfiles_differ_only_in_requirements_device_and_the_accurate_model():
    cpu, gpu = (
        {line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")}
        for name in DOCKERFILES
    )
    optional = "requirements-otel.txt requirements-worker.txt constraints.txt ./"
    common = "-r requirements-otel.txt -r requirements-worker.txt -c constraints.txt \\"
    assert sorted(cpu ^ gpu) == [
        f"        -r requirements-gpu.txt {common}",
        f"        -r requirements.txt {common}",
        "    DEVICE=cpu",
        "    DEVICE=cuda \\",
        "    NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        "    NVIDIA_VISIBLE_DEVICES=all \\",
        "COPY --from=accurate /app/models_cache models_cache",
        "COPY --from=build /app/models_cache models_cache",
        "COPY ml ml",
        "COPY requirements.txt requirements-build.txt requirements-mpnet.txt constraints.txt ./",
        f"COPY requirements.txt requirements-gpu.txt {optional}",
        f"COPY requirements.txt {optional}",
        "FROM python:3.11-slim-bookworm AS accurate",
        "RUN pip install --no-cache-dir -r requirements.txt -r requirements-build.txt -c constraints.txt",
        "RUN python -m ml build-artifact && rm -rf var models_cache/adapters",
        "RUN rm -rf models_cache/adapters",
    ]


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_labels_say_what_the_project_says(dockerfile):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    prefix = re.escape("org.opencontainers.image.")
    labels = dict(re.findall(rf'{prefix}(\w+)="([^"]+)"', (ROOT / dockerfile).read_text()))
    assert labels == {
        "title": project["name"].capitalize(),
        "description": project["description"],
        "licenses": "Apache-2.0",
        "version": __version__,
    }


def test_cpu_image_has_no_training_code():
    assert not [path for path in copied_files("Dockerfile.cpu") if path.startswith("ml/")]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_compose_service_has_bounded_logs_memory_and_privileges(name):
    service = COMPOSE["services"][name]
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])
    assert service["mem_limit"]
    assert all("size=" in mount for mount in service.get("tmpfs", []))
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_compose_runs_commands_of_the_service_in_its_images():
    for service in COMPOSE["services"].values():
        command = main
        for name in service.get("command", ["serve"]) if "build" in service else []:
            command = command.get_command(click.Context(command), name)
            assert command, f"{name} is no command: the image runs `python -m service {name}`"


def test_each_variable_of_compose_is_in_the_example_with_its_default():
    variables = set(re.findall(r"\$\{(\w+)(?::-([^${}]*))?", (ROOT / "compose.yaml").read_text()))
    for name, default in variables:
        assert f"\n#{name}={'' if name in NAMES else default}\n" in EXAMPLE


def address(service):
    return service["networks"]["default"]["ipv4_address"]


def test_compose_nginx_reaches_the_replicas_and_is_the_proxy_that_they_trust():
    nginx = COMPOSE["services"]["nginx"]
    site = (ROOT / "service/server/nginx.conf").read_text()
    [sed] = [line for line in nginx["command"][2].splitlines() if "riskscan.conf" in line]
    script = sed.split("'")[1]
    adapted = subprocess.run(
        ["sed", script], input=site, capture_output=True, text=True, check=True
    )
    for name in REPLICAS:
        replica = COMPOSE["services"][name]
        assert replica["environment"]["TRUSTED_PROXY"] == f"${{TRUSTED_PROXY:-{address(nginx)}}}"
        server = f"server {address(replica)}:{replica['environment']['PORT']}"
        assert adapted.stdout.count(server) == site.count("server 127.0.0.1:8000") == 2


def test_replicas_and_worker_differ_in_address_ports_and_task_alone():
    different = {"networks", "ports", "command", "environment"}
    first, *others = (COMPOSE["services"][name] for name in (*REPLICAS, "worker"))
    for other in others:
        assert {key: other.get(key) for key in first if key not in different} == {
            key: first[key] for key in first if key not in different
        }
    worker = others[-1]["environment"]
    assert worker == {**first["environment"], "BATCH_WORKERS": "2"}
    assert worker["BROKER_URL"].startswith("redis://:")
    assert worker["BROKER_URL"].endswith("@redis:6379/1")  # limits are in database 0


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_each_container_has_a_health_check_and_starts_again(name):
    service = COMPOSE["services"][name]
    own = service.get("healthcheck", {}).get("test")
    dockerfile = service.get("build", {}).get("dockerfile")
    assert own or "HEALTHCHECK" in (ROOT / dockerfile).read_text()
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", ["redis", "nginx"])
def test_container_that_needs_no_other_right_has_none(name):
    service = COMPOSE["services"][name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]


@pytest.mark.system
def test_redis_of_compose_needs_its_password_and_forgets_nothing(tmp_path):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    port, script = free_port(), COMPOSE["services"]["redis"]["command"][2].replace("$$", "$")
    for ours, place in {"/run": tmp_path, "/data": f"{tmp_path} --port {port}"}.items():
        assert ours in script
        script = script.replace(ours, str(place))
    environ = {"PATH": os.environ["PATH"], "REDIS_PASSWORD": "s3cret"}
    with subprocess.Popen(
        ["sh", "-ec", script], env=environ, stdout=subprocess.DEVNULL, cwd=tmp_path
    ) as process:
        try:
            client = redis.Redis(port=port, password="s3cret")
            wait_until(lambda: answers(client))
            settings = client.config_get("maxmemory*", "appendonly")
            assert not answers(redis.Redis(port=port))
            arguments = " ".join(psutil.Process(process.pid).cmdline())
        finally:
            process.terminate()
    assert (settings["maxmemory-policy"], settings["appendonly"]) == ("noeviction", "yes")
    limit = COMPOSE["services"]["redis"]["mem_limit"]
    assert int(settings["maxmemory"]) < int(limit.removesuffix("m")) * 2**20
    assert "redis-server" in arguments
    assert "s3cret" not in arguments


def answers(client):
    try:
        with client:
            return client.ping()
    except redis.RedisError:
        return False


@pytest.mark.parametrize("name", [*REPLICAS, "worker"])
def test_container_of_the_service_is_read_only_and_has_time_to_drain(name):
    service = COMPOSE["services"][name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert int(service["stop_grace_period"].removesuffix("s")) >= load({}).drain_timeout_s + 10
    assert set(service["environment"]) <= set(NAMES)


def test_compose_names_versions_and_requires_every_secret():
    for service in COMPOSE["services"].values():
        assert re.search(r":[\w.]+$", service["image"])
        assert not service["image"].endswith(":latest")
    text = (ROOT / "compose.yaml").read_text()
    for secret in ("SECRET_KEY", "JWT_SECRET", "MYSQL_PASSWORD", "REDIS_PASSWORD"):
        assert f"${{{secret}:?set" in text
        assert f"${{{secret}}}" not in text


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_file_follows_the_compose_specification(name):
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, ROOT / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_gpu_file_changes_the_workers_image_device_model_and_memory_alone():
    assert set(GPU["services"]) == {"worker"}
    changed = GPU["services"]["worker"]
    assert set(changed) == {"image", "build", "environment", "mem_limit", "deploy"}
    assert changed["build"] == {"dockerfile": "Dockerfile.gpu"}
    assert changed["environment"] == {"DEVICE": "cuda", "MODEL": "${MODEL:-fast}"}
