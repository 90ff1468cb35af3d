"""`python -m ml dataset`: check the labelled sentences and write the dataset card."""

from __future__ import annotations

from pathlib import Path

import click

from ml.corpus.dataset import check_new_sentences, load_dataset
from ml.corpus.dataset_card import card, summary
from ml.json_file import write_json
from ml.settings import Settings, load


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
def dataset(config: Path) -> None:
    """Check the labelled sentences; write dataset.json and dataset.md into the run's folder."""
    run(load(config))


def run(settings: Settings) -> None:
    """Check the sentences and write their counts and card into the run's folder.

    Raises:
        DatasetError: a file is missing or faulty, or there is nothing new to learn.
    """
    splits = load_dataset(settings.data)
    check_new_sentences(settings.data, splits)
    counts = summary(splits)
    folder = settings.run_dir
    write_json(folder / "dataset.json", counts)
    (folder / "dataset.md").write_text(card(counts), encoding="utf-8")
    n_train, n_dev = counts["train"]["sentences"], counts["dev"]["sentences"]
    print(
        f"{n_train} sentences of {len(counts['files'])} files to train, {n_dev} of "
        f"{', '.join(settings.data.dev_sets)} "
        f"to calibrate on; {folder / 'dataset.md'}"
    )
