"""The shipped model with an exit in its network, as `ml early-exit` gives it one."""

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from ml.artifact.early_exit import add_exit
from ml.corpus.dataset import read_examples
from service.config.settings import ROOT
from service.nlp.taxonomy import built_in
from tests.support.artifacts import SHIPPED

N_LEARNED = 400


@cache
def model_with_exit() -> Path:
    """Return the folder of a copy of the shipped model, with an exit learned from a few sentences."""
    folder = Path(shutil.copytree(SHIPPED, Path(mkdtemp(prefix="riskscan-exit-")) / "model"))
    examples = read_examples(ROOT / "ml/data/authored-a.jsonl", built_in())[:N_LEARNED]
    add_exit(folder, [e.text for e in examples], examples)
    return folder
