"""Builds a kustomization as kustomize does, as far as docs/kubernetes uses it; a test compares the two."""

from copy import deepcopy
from pathlib import Path

import yaml

PARTS = {"apiVersion", "kind", "resources", "namespace", "labels", "images", "patches"}


def build(folder):
    """Return the objects of the kustomization in a folder."""
    [plan] = documents(folder / "kustomization.yaml")
    assert plan.keys() <= PARTS, "this module knows no other parts of a kustomization"
    objects = [one for resource in plan["resources"] for one in read(folder / resource)]
    for patch in plan.get("patches", []):
        for change in documents(folder / patch["path"]):
            [index] = [i for i, one in enumerate(objects) if identity(one) == identity(change)]
            objects[index] = merged(objects[index], change)
    for one in objects:
        if "namespace" in plan and one["kind"] != "Namespace":
            one["metadata"]["namespace"] = plan["namespace"]
        for labels in plan.get("labels", []):
            one["metadata"].setdefault("labels", {}).update(labels["pairs"])
        for container in pod_of(one).get("containers", []):
            container["image"] = replaced(container["image"], plan.get("images", []))
    return objects


def documents(path):
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def read(path):
    return build(path) if path.is_dir() else documents(path)


def identity(thing):
    return thing["kind"], thing["metadata"]["name"]


def pod_of(thing):
    """Return the pod's part of a workload, and nothing for other objects."""
    if thing["kind"] == "Pod":
        return thing["spec"]
    return thing.get("spec", {}).get("template", {}).get("spec", {})


def replaced(image, images):
    name, _, tag = image.partition(":")
    for rule in images:
        if rule["name"] == name:
            return f"{rule.get('newName', name)}:{rule.get('newTag', tag)}"
    return image


def merged(old, new):
    """Merge as a strategic merge patch: mappings by key, containers by name; other lists are replaced."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: merged(old.get(key), value) for key, value in new.items()}
    if isinstance(old, list) and isinstance(new, list) and all("name" in one for one in old + new):
        changes = {one["name"]: one for one in new}
        return [merged(one, changes.pop(one["name"], {})) for one in old] + [*changes.values()]
    return deepcopy(new)


def folders(root: Path):
    """Return each folder below `root` that holds a kustomization."""
    return sorted(path.parent for path in root.rglob("kustomization.yaml"))
