"""Whether the documents read lately are still of the kind that the model learned from.

`python -m ml.drift --reference models_cache/<name>/<version>/reference.json --scans FILE.jsonl` compares
what `python -m service scan --json` printed, one scan a line, with the findings in the reference.
`... --data FILE.jsonl` takes lines of {"text": sentence}, which the model beside the reference scores.

The index: population stability; below 0.1 stable, to 0.25 to be watched, above drifted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from ml.metrics import category_scores
from ml.tables import rows
from service.errors import RiskscanError
from service.nlp import artifact as artifacts
from service.nlp.drift import (
    CATEGORY_BINS,
    LENGTH_EDGES,
    PIECE_EDGES,
    REFERENCE_VERSION,
    SCORE_EDGES,
    Shift,
    histogram,
    read_reference,
    shifts,
)
from service.nlp.local import LocalAnalyzer
from service.nlp.operating_point import risk_scores

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Counts = dict[str, list[int]]

_UNKNOWN = "[UNK]"
_SURE = 0.5
_TITLES = {
    "risk_score": "risk score",
    "score": "score of the findings",
    "category": "categories",
    "length": "words a sentence",
    "pieces": "frequency of the word pieces",
}


class DriftError(RiskscanError):
    """A file of scans or sentences cannot be used."""


def reference(
    texts: Sequence[str], scores: Floats, tokenizer: Tokenizer, *, hits: Bools | None = None
) -> dict[str, Any]:
    """Return the histograms of the sentences that a model learned from; no text.

    `scores` is float32 (n, n_risk_types), `hits` bool of that shape: the balanced decisions. Without
    them a sentence states its best type where its risk score reaches one half. `sentences` counts all
    sentences, `findings` those that state a risk.
    """
    decided = _sure(scores) if hits is None else hits
    encoded = list(_encoded(tokenizer, texts))
    times = np.bincount([k for ids in encoded for k in ids], minlength=tokenizer.get_vocab_size())
    pieces = Pieces(
        tokenizer, "".join(str(b) for b in np.searchsorted(PIECE_EDGES, times, "right"))
    )
    stated = np.flatnonzero(decided.any(axis=1))
    with_risk = [texts[int(row)] for row in stated]
    return {
        "reference_version": REFERENCE_VERSION,
        "n_sentences": len(texts),
        "piece_bins": pieces.bins,
        "unknown_share": pieces.unknown_share(texts),
        "sentences": {
            **sentence_counts(texts, scores, decided, pieces),
            "pieces": _held_out(encoded, times),
        },
        "findings": {
            "score": histogram(scores[decided], SCORE_EDGES),
            "category": _categories(decided, scores),
            "length": _lengths(with_risk),
            "pieces": _held_out([encoded[int(row)] for row in stated], times),
        },
    }


def _held_out(encoded: Sequence[Sequence[int]], times: Ints) -> list[int]:
    """Count pieces by how often the reference holds them outside their own sentence.

    Counted with it, no piece of the reference were new to the reference, and any other text, however
    alike, would look strange.
    """
    found = np.zeros(len(PIECE_EDGES) + 1, np.int64)
    for ids in encoded:
        kinds, own = np.unique(np.asarray(ids, np.int64), return_counts=True)
        np.add.at(found, np.searchsorted(PIECE_EDGES, times[kinds] - own, "right"), own)
    return [int(n) for n in found]


class Pieces:
    """Word pieces by how often the reference holds them; `bins` is one digit for each id."""

    def __init__(self, tokenizer: Tokenizer, bins: str) -> None:
        self.bins = bins
        self._tokenizer = tokenizer
        self._bin_of = np.frombuffer(bins.encode("ascii"), np.uint8) - ord("0")

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Count the pieces of the texts by bin; the first bin is what the reference never holds."""
        ids = [k for encoding in _encoded(self._tokenizer, texts) for k in encoding]
        found = np.bincount(self._bin_of[ids], minlength=len(PIECE_EDGES) + 1)
        return [int(n) for n in found]

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return the share of pieces for which the tokenizer has no word, nor parts of one."""
        unknown = self._tokenizer.token_to_id(_UNKNOWN)
        ids = [k for encoding in _encoded(self._tokenizer, texts) for k in encoding]
        return sum(k == unknown for k in ids) / max(len(ids), 1)


def sentence_counts(texts: Sequence[str], scores: Floats, hits: Bools, pieces: Pieces) -> Counts:
    """Return the histograms over all sentences of some documents."""
    return {
        "risk_score": histogram(risk_scores(scores), SCORE_EDGES),
        "category": _categories(hits, scores),
        "length": _lengths(texts),
        "pieces": pieces.counts(texts),
    }


def scan_counts(scans: Sequence[Mapping[str, Any]], pieces: Pieces) -> Counts:
    """Return the histograms over the findings of scans: all that a scan keeps of a document.

    Raises:
        KeyError, TypeError: a scan lacks coverage or findings.
    """
    findings = [finding for scan in scans for finding in scan["findings"]]
    best: dict[tuple[int, int], Mapping[str, Any]] = {}
    for n, scan in enumerate(scans):
        for finding in scan["findings"]:
            key = (n, finding["start"])
            if key not in best or (finding["score"] or 0) > (best[key]["score"] or 0):
                best[key] = finding
    n_sentences = sum(scan["coverage"]["sentences"] for scan in scans)
    categories = Counter(f["category"] for f in best.values())
    categories["none"] = n_sentences - len(best)
    contexts = [f["context"] for f in best.values()]
    return {
        "score": histogram([f["score"] for f in findings if f["score"] is not None], SCORE_EDGES),
        "category": [categories[key] for key in CATEGORY_BINS],
        "length": _lengths(contexts),
        "pieces": pieces.counts(contexts),
    }


def _categories(hits: Bools, scores: Floats) -> list[int]:
    """Count sentences by the category they most likely state, `none` last."""
    best = category_scores(np.where(hits, scores, 0).astype(np.float32)).argmax(axis=1)
    found = np.where(hits.any(axis=1), best, len(CATEGORY_BINS) - 1)
    return [int(n) for n in np.bincount(found, minlength=len(CATEGORY_BINS))]


def _sure(scores: Floats) -> Bools:
    hits = np.zeros(scores.shape, np.bool_)
    sure = np.flatnonzero(risk_scores(scores) >= _SURE)
    hits[sure, scores[sure].argmax(axis=1)] = True
    return hits


def _lengths(texts: Sequence[str]) -> list[int]:
    return histogram([len(text.split()) for text in texts], LENGTH_EDGES)


def _encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[list[int]]:
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        yield encoding.ids


def of_data(path: Path, folder: Path, known: Mapping[str, Any]) -> tuple[dict[str, Shift], str]:
    """Score a file of sentences with the model in `folder`; return shifts and a note on words."""
    texts = [row["text"] for row in _lines(path, {"text"})]
    analyzer = LocalAnalyzer.open(folder)
    try:
        scores = analyzer.score(texts)
        hits = analyzer.decide(scores)
    finally:
        analyzer.close()
    pieces = Pieces(artifacts.load(folder).tokenizer(), known["piece_bins"])
    found = shifts(known["sentences"], sentence_counts(texts, scores, hits, pieces))
    return found, _unknown(pieces.unknown_share(texts), known, f"{len(texts):,} sentences")


def of_scans(path: Path, folder: Path, known: Mapping[str, Any]) -> tuple[dict[str, Shift], str]:
    """Compare the findings of a file of scans with the reference's; return shifts and a note."""
    scans = _lines(path, {"coverage", "findings"})
    pieces = Pieces(artifacts.load(folder).tokenizer(), known["piece_bins"])
    try:
        counts = scan_counts(scans, pieces)
    except (KeyError, TypeError) as error:
        raise DriftError(f"{path} is not what `python -m service scan --json` prints.") from error
    contexts = [f["context"] for scan in scans for f in scan["findings"]]
    found = shifts(known["findings"], counts)
    return found, _unknown(pieces.unknown_share(contexts), known, f"{len(scans):,} scans")


def _unknown(share: float, known: Mapping[str, Any], of: str) -> str:
    return (
        f"{of}; {100 * share:.2f} % of their word pieces are unknown to the tokenizer, "
        f"{100 * known['unknown_share']:.2f} % of the reference's."
    )


def _lines(path: Path, keys: set[str]) -> list[dict[str, Any]]:
    if not path.is_file():
        raise DriftError(f"There is no {path}.")
    found = []
    for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DriftError(f"{path}, line {n} is no JSON.") from error
        if not isinstance(row, dict) or not keys <= row.keys():
            raise DriftError(f"{path}, line {n} lacks {' or '.join(sorted(keys))}.")
        found.append(row)
    return found


def report(found: Mapping[str, Shift], note: str) -> str:
    """Return the shifts as a Markdown table."""
    lines = [
        [_TITLES[name], f"{s.psi:.3f}", f"{s.chance:.3f}", s.status] for name, s in found.items()
    ]
    return rows(["", "PSI", "of it by chance", ""], lines) + f"\n\n{note}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the shift of each histogram; ends with 2 where one has drifted."""
    parser = argparse.ArgumentParser(
        prog="python -m ml.drift",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--reference", type=Path, required=True, help="the model's reference.json")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--scans", type=Path, help="what `service scan --json` printed")
    source.add_argument("--data", type=Path, help="lines of {text}")
    given = parser.parse_args(arguments)
    folder = given.reference.parent
    try:
        known = read_reference(given.reference)
        compare = of_scans if given.scans else of_data
        found, note = compare(given.scans or given.data, folder, known)
    except RiskscanError as error:
        sys.exit(str(error))
    print(report(found, note))
    sys.exit(2 if any(s.status == "drifted" for s in found.values()) else 0)


if __name__ == "__main__":
    main()
