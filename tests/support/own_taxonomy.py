"""Builds an artifact of another taxonomy: the shipped network with some of its columns under new names."""

import json
import shutil
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from ml.artifact.manifest_writer import manifest_fields, write_manifest
from ml.artifact.network import write_network
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.network_config import read_network_config
from service.nlp.inference.onnx_engine import OnnxEngine
from service.nlp.inference.torch_engine import dequantized
from service.nlp.taxonomy import TAXONOMY_FILE, Category, RiskType, Taxonomy, built_in
from tests.support.artifacts import SHIPPED

MODEL = "own/1.0.0"
OWN = Taxonomy(
    version=7,
    categories=(
        Category(
            "money",
            "Money",
            "What it costs.",
            (
                RiskType("money-short", "Too little money", "It costs more.", "We lack money."),
                RiskType("money-late", "Late money", "The money is late.", "No money before May."),
            ),
        ),
        Category(
            "plant",
            "Plant",
            "The machines.",
            (
                RiskType("rush", "Rush", "The date is near.", "It is due on Monday."),
                RiskType("outage", "Standstill", "A machine stops.", "The oven may stop."),
            ),
        ),
    ),
)
"""The type `outage` has the key of a built-in one."""
WIDE = Taxonomy(
    version=1,
    categories=tuple(
        Category(
            f"area-{n}",
            f"Area {n}",
            f"All of area {n}.",
            (RiskType(f"risk-{n}", f"Risk {n}", "It is late.", "It is due on Monday."),),
        )
        for n in range(200)
    ),
)
_SOURCES = ("tight-budget", "funding-uncertainty", "aggressive-deadline", "outage")


def make_own_artifact(registry_dir: Path, taxonomy: Taxonomy = OWN) -> str:
    """Put the artifact into a registry; it finds what the shipped model finds of four risk types.

    A longer taxonomy has these four in turn.
    """
    folder = registry_dir / MODEL
    sources = tuple(islice(cycle(_SOURCES), len(taxonomy.risk_types)))
    columns = [built_in().columns[key] for key in sources]
    _write_network(folder, columns)
    shutil.copyfile(SHIPPED / artifacts.TOKENIZER_FILE, folder / artifacts.TOKENIZER_FILE)
    (folder / TAXONOMY_FILE).write_text(taxonomy.as_json(), encoding="utf-8")
    (folder / artifacts.GOLDEN_FILE).write_text("")
    name, version = MODEL.split("/")
    fields = manifest_fields(SHIPPED) | {"name": name, "version": version}
    fields |= {"labels": [*taxonomy.risk_types], "taxonomy_version": taxonomy.version}
    for point in fields["operating_points"].values():
        thresholds = [point["thresholds"][key] for key in sources]
        point["thresholds"] = dict(zip(taxonomy.risk_types, thresholds, strict=True))
    write_manifest(folder, fields)
    _write_golden(folder, taxonomy)
    write_manifest(folder, fields)
    return MODEL


def _write_network(folder: Path, columns: list[int]) -> None:
    n_labels = len(built_in().risk_types)
    state = dequantized(load_file(SHIPPED / artifacts.WEIGHTS_FILE))
    near = [*columns, *(n_labels + column for column in columns)]
    for head, rows in (("head", columns), ("influence", near)):
        for kind in ("weight", "bias"):
            state[f"{head}.{kind}"] = np.ascontiguousarray(state[f"{head}.{kind}"][rows])
    config = read_network_config(SHIPPED / artifacts.CONFIG_FILE)
    write_network(state, replace(config, n_labels=len(columns)), folder, bits=7)


def _write_golden(folder: Path, taxonomy: Taxonomy) -> None:
    artifact = artifacts.load(folder)
    analyzer = LocalAnalyzer(artifact, OnnxEngine(artifact, n_threads=1))
    texts = [row.text for row in artifacts.load(SHIPPED).golden()]
    rows = zip(texts, analyzer.score(texts).tolist(), strict=True)
    analyzer.close()
    lines = [{"text": t, "scores": dict(zip(taxonomy.risk_types, s, strict=True))} for t, s in rows]
    golden = "".join(f"{json.dumps(line)}\n" for line in lines)
    (folder / artifacts.GOLDEN_FILE).write_text(golden, encoding="utf-8")
