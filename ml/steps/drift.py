"""`python -m ml drift`: compare recent scans or sentences with the model's reference."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ml.evaluation.drift_report import data_shifts, report, scan_shifts
from service.nlp.artifacts.drift_index import read_reference

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--reference", type=_FILE, required=True, help="The model's reference.json.")
@click.option("--scans", type=_FILE, help="Output of `service scan --json`, one scan per line.")
@click.option("--data", type=_FILE, help='Lines of {"text": sentence}.')
def drift(reference: Path, scans: Path | None, data: Path | None) -> None:
    """Test whether recent documents still resemble those that the model was calibrated on.

    Name one of --scans and --data. --scans compares findings; --data scores the sentences with the model
    beside the reference first.

    The index is the population stability index minus its expected value by chance: below 0.1 stable, up
    to 0.25 watch, above drifted. A reference of 700 sentences needs about as many new ones.

    Exit status 2 if a histogram has drifted.
    """
    if (scans is None) == (data is None):
        raise click.UsageError("Name one of --scans and --data.")
    histograms, folder = read_reference(reference), reference.parent
    if scans is not None:
        shifted, note = scan_shifts(scans, folder, histograms)
    elif data is not None:
        shifted, note = data_shifts(data, folder, histograms)
    print(report(shifted, note))
    sys.exit(2 if any(s.status == "drifted" for s in shifted.values()) else 0)
