"""Dockerfiles, .dockerignore and compose agree with each other and with .env.example."""

import re
import subprocess
import tomllib
from pathlib import Path

import click
import pytest
import yaml
from docker.utils.build import PatternMatcher

from service import __version__
from service.cli.main import main
from service.config.settings import NAMES

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = ("Dockerfile.cpu", "Dockerfile.gpu")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
GPU = yaml.safe_load((ROOT / "compose.gpu.yaml").read_text())
EXAMPLE = (ROOT / ".env.example").read_text()


def is_ignored(path):
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return PatternMatcher([p for p in lines if p and not p.startswith("#")]).matches(path)


def copied_files(dockerfile):
    """Yield each file of the build context that a Dockerfile copies."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / dockerfile).read_text(), re.MULTILINE)
    for source in " ".join(lines).split():
        path = ROOT / source
        files = path.rglob("*") if path.is_dir() else [path]
        yield from (f.relative_to(ROOT).as_posix() for f in files if "__pycache__" not in f.parts)


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_dockerfile_copies_no_file_that_dockerignore_excludes(dockerfile):
    copied = list(copied_files(dockerfile))
    assert "models_cache/CURRENT" in copied
    assert all((ROOT / path).exists() for path in copied)
    assert not [path for path in copied if is_ignored(path)]


@pytest.mark.parametrize("path", [".env", ".git/config", "tls/privkey.pem", "var/riskscan.db"])
def test_secrets_and_data_stay_out_of_the_images(path):
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


def test_compose_nginx_reaches_the_service_and_is_the_proxy_that_it_trusts():
    nginx, service = COMPOSE["services"]["nginx"], COMPOSE["services"]["riskscan"]
    addresses = [s["networks"]["default"]["ipv4_address"] for s in (nginx, service)]
    assert service["environment"]["TRUSTED_PROXY"] == f"${{TRUSTED_PROXY:-{addresses[0]}}}"
    [sed] = [line for line in nginx["command"][2].splitlines() if "riskscan.conf" in line]
    script = sed.split("'")[1]
    site = ROOT / "service/server/nginx.conf"
    sed_run = subprocess.run(["sed", script, site], capture_output=True, text=True, check=True)
    assert f"server {addresses[1]}:{service['environment']['PORT']} " in sed_run.stdout


def test_gpu_file_changes_image_device_and_memory_alone():
    assert set(GPU["services"]) == {"riskscan"}
    changed = GPU["services"]["riskscan"]
    assert set(changed) == {"build", "environment", "mem_limit", "deploy"}
    assert changed["build"] == {"dockerfile": "Dockerfile.gpu"}
    assert changed["environment"] == {"DEVICE": "cuda"}
