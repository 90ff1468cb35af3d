"""The shipped model with an exit in its network, as `ml early-exit` gives it one."""

import shutil
from pathlib import Path

from ml.artifact.early_exit import add_exit
from ml.corpus.dataset import read_examples
from service.config.settings import ROOT
from service.nlp.taxonomy import built_in
from tests.support.artifacts import SHIPPED

N_LEARNED = 400


def write_model_with_exit(folder: Path) -> Path:
    """Copy the shipped model to the new `folder`, with an exit learned from a few sentences."""
    shutil.copytree(SHIPPED, folder)
    examples = read_examples(ROOT / "ml/data/authored-a.jsonl", built_in())[:N_LEARNED]
    add_exit(folder, [e.text for e in examples], examples)
    return folder
