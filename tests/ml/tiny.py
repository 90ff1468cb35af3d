"""The retraining recipe, small enough to run in seconds."""

from pathlib import Path

from service.config.settings import ROOT
from tests.support.encoders import pins

_TABLES = {
    "golden_tolerance": "[artifact]",
    "calibration_of": "[artifact]",
    "adapter_rank": "[artifact]",
    "version": "[artifact]",
    "folder": "[artifact]",
    "real": "[data]",
    "dev": "[data]",
    "feedback": "[data]",
    "start": "[base]",
    "model": "[base]",
    "pooling": "[base]",
    "sentence_form": "[base]",
    "unlabelled": "[data]",
}


def write_config(
    folder: Path, /, *, n_train: int = 24, n_dev: int = 24, encoder=None, **changes
) -> Path:
    """Write a configuration over `n_train` sentences to train and `n_dev` to choose on; values are TOML.

    One epoch is six steps, with a checkpoint in the middle and at the end. Each has 90 MB, unless `encoder`
    is a small folder of tests/support/encoders.py.
    """
    lines = (ROOT / "ml/data/authored-a.jsonl").read_text().splitlines(keepends=True)
    (folder / "train.jsonl").write_text("".join(lines[:n_train]))
    (folder / "dev.jsonl").write_text("".join(lines[60 : 60 + n_dev]))
    text = (ROOT / "ml/configs/retrain.toml").read_text()
    values = _small(folder)
    head, _, rest = text.partition("authored = [")
    text = f'{head}authored = ["{folder}/train.jsonl"]' + rest.partition("]")[2]
    if encoder:
        changes["model"] = f'"{encoder}"'
        text = _with_pins(text, encoder)
    values |= changes
    rows = [line for line in text.splitlines() if line.split(" = ")[0] not in values]
    for key, value in values.items():
        at = rows.index(_TABLES.get(key, "[train]"))
        rows.insert(at + 1, f"{key} = {value}")
    (folder / "tiny.toml").write_text("\n".join(rows))
    return folder / "tiny.toml"


def _with_pins(text: str, encoder: Path) -> str:
    before, _, after = text.partition("[base.sha256]")
    hashes = "\n".join(f'"{name}" = "{digest}"' for name, digest in pins(encoder).items())
    return f"{before}[base.sha256]\n{hashes}\n\n[train]" + after.partition("[train]")[2]


def _small(folder: Path) -> dict[str, str]:
    return {
        "real": "[]",
        "feedback": "[]",
        "dev": f'["{folder}/dev.jsonl"]',
        "start": "[]",
        "run": f'"{folder}/run"',
        "folder": f'"{folder}/run/model"',
        "golden_tolerance": "0.0001",
        "calibration_of": '""',
        "batch_size": "4",
        "n_threads": "1",
        "epochs": "1",
        "decay_epochs": "1",
        "n_checkpoints": "2",
        "n_averaged": "2",
        "keep": "0.0",
        "save_every_min": "5.0",
    }
