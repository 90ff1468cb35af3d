"""The shipped model with an exit in its network, as `ml early-exit` gives it one, and without."""

import shutil
from pathlib import Path

from ml.artifact.early_exit import add_exit
from ml.artifact.manifest_writer import manifest_fields, write_manifest
from ml.artifact.network import write_graph
from ml.corpus.dataset import read_examples
from service.config.settings import ROOT
from service.nlp.artifacts.artifact import CONFIG_FILE, EXIT_FILE
from service.nlp.inference.network_config import read_network_config
from service.nlp.taxonomy import built_in
from tests.support.artifacts import SHIPPED


def write_model_with_exit(folder: Path) -> Path:
    """Copy the shipped model to the new `folder`, with an exit learned from two files of sentences."""
    shutil.copytree(SHIPPED, folder)
    a, c = (read_examples(ROOT / f"ml/data/authored-{k}.jsonl", built_in()) for k in "ac")
    add_exit(folder, [*a, *c], a)
    return folder


def write_model_without_exit(folder: Path) -> Path:
    """Copy the shipped model to the new `folder`, without the exit that it may have."""
    shutil.copytree(SHIPPED, folder)
    (folder / EXIT_FILE).unlink(missing_ok=True)
    fields = manifest_fields(folder)
    fields.pop("early_exit", None)
    write_graph(read_network_config(folder / CONFIG_FILE), folder)
    write_manifest(folder, fields)
    return folder
