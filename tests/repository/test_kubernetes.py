"""The Kubernetes manifests follow their schemas and keep what they promise; no cluster is needed."""

import re
import shutil
import subprocess

import click
import kubernetes_validate
import pytest
import yaml

from service import __version__
from service.api.http.limits import PROBE_PATHS
from service.cli.main import main
from service.config import settings
from service.config.settings import ROOT
from tests.repository.kustomize import build, folders, identity, pod_of

FOLDER = ROOT / "docs" / "kubernetes"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SCHEMAS = "1.37"
VARIANTS = {folder.name: build(folder) for folder in folders(FOLDER)}
EVERY_OBJECT = [
    pytest.param(one, id=f"{variant}-{'-'.join(identity(one))}")
    for variant, objects in VARIANTS.items()
    for one in objects
]
EVERY_POD = [param for param in EVERY_OBJECT if pod_of(param.values[0])]
SERVICES = ("base", "gpu")


def of_kind(kind, variant="base"):
    return [one for one in VARIANTS[variant] if one["kind"] == kind]


def named(kind, name, variant="base"):
    [found] = [one for one in of_kind(kind, variant) if one["metadata"]["name"] == name]
    return found


def settings_of(variant="base"):
    return named("ConfigMap", "riskscan", variant)["data"]


def container_of(workload):
    [container] = pod_of(workload)["containers"]
    return container


def ports_of(workload):
    return {port["name"]: port["containerPort"] for port in container_of(workload)["ports"]}


def megabytes(quantity):
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]


@pytest.mark.parametrize("thing", EVERY_OBJECT)
def test_object_follows_its_schema(thing):
    kubernetes_validate.validate(thing, SCHEMAS, strict=True)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_is_what_kustomize_builds(variant):
    command = ["kubectl", "kustomize", FOLDER / variant]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = list(yaml.safe_load_all(done.stdout))
    assert sorted(VARIANTS[variant], key=identity) == sorted(expected, key=identity)


def test_no_file_holds_a_secret():
    assert not [one for variant in VARIANTS for one in of_kind("Secret", variant)]
    assert not {*settings_of("gpu")} & {*settings.SECRET_NAMES}


def test_command_of_the_readme_creates_the_secret_that_pods_read():
    command = re.search(r"create secret generic (\S+) .*?<<END\n(.*?)\n\s*END", README, re.DOTALL)
    given = {line.split("=")[0].strip() for line in command[2].splitlines()}
    assert {"SECRET_KEY", "JWT_SECRET", "DATABASE_URL"} <= given <= {*settings.SECRET_NAMES}
    for workload in of_kind("Deployment") + of_kind("Job"):
        assert {"secretRef": {"name": command[1]}} in container_of(workload)["envFrom"]


@pytest.mark.parametrize("variant", SERVICES)
def test_settings_exist_and_load(variant):
    secrets = {"SECRET_KEY": "s" * 32, "JWT_SECRET": "j" * 32, "DATABASE_URL": "mysql://u@h/d"}
    assert {*settings_of(variant)} <= {*settings.NAMES}
    # MODEL names a model that the image has, and a clone perhaps not.
    own = {name: value for name, value in settings_of(variant).items() if name != "MODEL"}
    assert settings.load({**own, **secrets}).trusted_proxy


@pytest.mark.parametrize("workload", EVERY_POD)
def test_pod_has_few_rights(workload):
    pod, container = pod_of(workload), container_of(workload)
    [user] = re.findall(r"^USER (\d+)$", (ROOT / "Dockerfile.cpu").read_text(), re.MULTILINE)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == int(user)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False  # else a Service adds variables like RISKSCAN_PORT
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("workload", EVERY_POD)
def test_pod_has_bounded_memory_and_a_temporary_folder_within(workload):
    limit = container_of(workload)["resources"]["limits"]["memory"]
    for volume in pod_of(workload)["volumes"]:
        if "emptyDir" in volume:
            assert volume["emptyDir"]["medium"] == "Memory"
            assert megabytes(volume["emptyDir"]["sizeLimit"]) <= megabytes(limit) / 4


@pytest.mark.parametrize("workload", EVERY_POD)
def test_image_has_the_version_of_the_service_and_a_dockerfile(workload):
    _, _, tag = container_of(workload)["image"].rpartition(":")
    version, device = tag.removeprefix("v").split("-")
    assert version == __version__
    assert (ROOT / f"Dockerfile.{device}").exists()


@pytest.mark.parametrize("workload", EVERY_POD)
def test_arguments_are_a_command_of_the_service(workload):
    command = main
    for name in container_of(workload).get("args", ["serve"]):
        command = command.get_command(click.Context(command), name)
    assert not isinstance(command, click.Group)


@pytest.mark.parametrize("workload", EVERY_POD)
def test_mounted_volumes_are_where_the_settings_say(workload):
    paths = {mount["name"]: mount["mountPath"] for mount in container_of(workload)["volumeMounts"]}
    expected = {"var": settings_of()["DATA_DIR"], "registry": settings_of()["REGISTRY_DIR"]}
    assert paths.items() <= {*expected.items(), ("tmp", "/tmp")}
    for volume in pod_of(workload)["volumes"]:
        if "persistentVolumeClaim" in volume:
            claim = named("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
            assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize("variant", SERVICES)
@pytest.mark.parametrize("name", ["riskscan-api", "riskscan-worker"])
def test_probes_ask_the_port_that_scans_never_delay(variant, name):
    deployment = named("Deployment", name, variant)
    container = container_of(deployment)
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    assert {probe["path"] for probe in probes} <= {*PROBE_PATHS}
    assert [probe["port"] for probe in probes] == ["ops"] * 3
    assert str(ports_of(deployment)["ops"]) == settings_of()["OPS_PORT"]


def test_api_pod_that_ends_has_time_for_its_requests():
    api = named("Deployment", "riskscan-api")
    [_, wait_s] = container_of(api)["lifecycle"]["preStop"]["exec"]["command"]
    needed_s = int(wait_s) + int(settings_of()["DRAIN_TIMEOUT_S"])
    assert pod_of(api)["terminationGracePeriodSeconds"] >= needed_s + 5


def test_ports_agree_from_the_ingress_to_the_container():
    api = named("Deployment", "riskscan-api")
    [rule] = named("Ingress", "riskscan")["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = named("Service", backend["name"])
    [port] = [p for p in service["spec"]["ports"] if p["name"] == backend["port"]["name"]]
    assert str(ports_of(api)[port["targetPort"]]) == settings_of()["PORT"]
    [opened] = named("NetworkPolicy", "riskscan-from-ingress")["spec"]["ingress"]
    assert opened["ports"] == [{"port": int(settings_of()["PORT"])}]
    [opened] = named("NetworkPolicy", "riskscan-from-monitoring")["spec"]["ingress"]
    assert opened["ports"] == [{"port": int(settings_of()["OPS_PORT"])}]


def test_ingress_lets_the_largest_upload_and_the_longest_scan_pass():
    config = settings.load({})
    limits = named("Ingress", "riskscan")["metadata"]["annotations"]
    prefix = "nginx.ingress.kubernetes.io"
    size = int(limits[f"{prefix}/proxy-body-size"].removesuffix("m")) * 2**20
    assert size >= config.max_upload_bytes + 2**20
    assert int(limits[f"{prefix}/proxy-read-timeout"]) >= config.ai_timeout_s + 60


def test_network_is_closed_but_for_named_ports():
    closed = named("NetworkPolicy", "riskscan-deny")["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for policy in of_kind("NetworkPolicy"):
        rules = policy["spec"].get("ingress", []) + policy["spec"].get("egress", [])
        assert all(rule["ports"] and (rule.get("from") or rule["to"]) for rule in rules)


def test_selectors_find_the_api():
    api = named("Deployment", "riskscan-api")
    labels = api["spec"]["template"]["metadata"]["labels"]
    [spread] = pod_of(api)["topologySpreadConstraints"]
    selectors = [
        api["spec"]["selector"]["matchLabels"],
        spread["labelSelector"]["matchLabels"],
        named("Service", "riskscan")["spec"]["selector"],
        named("PodDisruptionBudget", "riskscan-api")["spec"]["selector"]["matchLabels"],
        named("NetworkPolicy", "riskscan-from-ingress")["spec"]["podSelector"]["matchLabels"],
    ]
    assert selectors == [labels] * len(selectors)


@pytest.mark.parametrize("variant", SERVICES)
def test_autoscaler_keeps_two_replicas_of_the_api(variant):
    autoscaler = named("HorizontalPodAutoscaler", "riskscan-api", variant)["spec"]
    target = autoscaler["scaleTargetRef"]
    assert "replicas" not in named(target["kind"], target["name"], variant)["spec"]
    assert 2 == autoscaler["minReplicas"] <= autoscaler["maxReplicas"]


def test_gpu_variant_serves_the_accurate_model_on_cards():
    assert settings_of("gpu").items() >= {"DEVICE": "cuda", "MODEL": "accurate"}.items()
    for deployment in of_kind("Deployment", "gpu"):
        container = container_of(deployment)
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert container["image"].endswith("-gpu")
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0
