"""Test whether recent documents still resemble those that the model was calibrated on.

`.venv-test/bin/python -m ml drift --reference models_cache/NAME/VERSION/reference.json --scans FILE.jsonl`
compares the output of `python -m service scan --json`, one scan a line, with the findings in the reference.
`... --data FILE.jsonl` takes lines of {"text": sentence}, which the model beside the reference scores.

The index is the population stability index minus its expected value by chance: below 0.1 stable, up to 0.25
watch it, above drifted. With a reference of 700 sentences it needs about as many new ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ml.commands import command
from ml.corpus.dataset import Example
from ml.corpus.reading_order import score_documents
from ml.evaluation.markdown_report import rows
from ml.evaluation.metrics import category_scores
from ml.evaluation.resampling import resampled_documents, sum_by_document
from service.errors import RiskscanError
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.arrays import Bools, Floats, Ints
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.drift_index import (
    CATEGORY_BINS,
    LENGTH_EDGES,
    PIECE_EDGES,
    REFERENCE_VERSION,
    SCORE_EDGES,
    Found,
    Shift,
    finding_counts,
    psi,
    read_reference,
    shifts,
    surest,
)
from service.nlp.artifacts.operating_points import risk_scores

Counts = dict[str, list[int]]

_UNKNOWN = "[UNK]"
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
    examples: Sequence[Example],
    scores: Floats,
    hits: Bools,
    *,
    tokenizer: Tokenizer,
    learned: Sequence[str],
) -> dict[str, Any]:
    """Return the histograms of sentences that the model never saw; no text.

    Of those that it learned from it is surer than of any others, so that new documents would look
    strange from the first day. `scores` is float32 (n, n_risk_types), `hits` bool of that shape: the
    balanced decisions. `learned` are the sentences that the model learned from: word pieces are counted
    by how often these hold them.

    `sentences` counts all sentences, `findings` those that state a risk. `noise` is the mean index
    between these histograms and those of as many of the documents, drawn anew.
    """
    pieces = Pieces.of(tokenizer, learned)
    texts, docs = [e.text for e in examples], [e.doc for e in examples]
    kinds = counted(texts, scores, hits, pieces)
    return {
        "reference_version": REFERENCE_VERSION,
        "n_sentences": len(texts),
        "n_documents": len(set(docs)),
        "n_learned": len(learned),
        "piece_bins": pieces.bins,
        "unknown_share": pieces.unknown_share(texts),
        **{kind: summed(found) for kind, found in kinds.items()},
        "noise": {
            kind: {name: noise(rows, docs) for name, rows in found.items()}
            for kind, found in kinds.items()
        },
    }


def noise(rows: Ints, docs: Sequence[str]) -> float:
    """Return the mean index between the histogram of `rows` and that of its documents drawn anew.

    `rows` is (n, n_bins), `docs` n names. At least that of sentences drawn one by one.
    """
    whole = rows.sum(axis=0)
    if not whole.any():
        return 0.0
    drawn = resampled_documents(docs) @ sum_by_document(rows.astype(np.float64), docs)
    found = float(np.mean([psi(whole, one) for one in drawn if one.any()]))
    return max(found, float((np.count_nonzero(whole) - 1) / whole.sum()))


class Pieces:
    """Word pieces by how often the reference holds them; `bins` is one digit for each id."""

    def __init__(self, tokenizer: Tokenizer, bins: str) -> None:
        self.bins = bins
        self._tokenizer = tokenizer
        self._bin_of = np.frombuffer(bins.encode("ascii"), np.uint8) - ord("0")

    @classmethod
    def of(cls, tokenizer: Tokenizer, texts: Sequence[str]) -> Pieces:
        """Return the pieces by how often `texts` hold them."""
        ids = [k for encoded in _encoded(tokenizer, texts) for k in encoded]
        times = np.bincount(np.array(ids, np.int64), minlength=tokenizer.get_vocab_size())
        return cls(tokenizer, "".join(str(b) for b in np.searchsorted(PIECE_EDGES, times, "right")))

    def counts(self, texts: Sequence[str]) -> Ints:
        """Count each text's pieces by bin, (len(texts), n_bins); the first bin: never held."""
        n_bins = len(PIECE_EDGES) + 1
        found = [
            np.bincount(self._bin_of[ids], minlength=n_bins)
            for ids in _encoded(self._tokenizer, texts)
        ]
        return np.array(found, np.int64).reshape(-1, n_bins)

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return the share of pieces for which the tokenizer has no word, nor parts of one."""
        unknown = self._tokenizer.token_to_id(_UNKNOWN)
        ids = [k for encoding in _encoded(self._tokenizer, texts) for k in encoding]
        return sum(k == unknown for k in ids) / max(len(ids), 1)


def counted(
    texts: Sequence[str], scores: Floats, hits: Bools, pieces: Pieces
) -> dict[str, dict[str, Ints]]:
    """Return what each sentence adds to each histogram, (n, n_bins), by `sentences` and `findings`."""
    stated = hits.any(axis=1, keepdims=True)
    category = _one_of(_categories(hits, scores), len(CATEGORY_BINS))
    lengths = _binned([len(text.split()) for text in texts], LENGTH_EDGES)
    of_pieces = pieces.counts(texts)
    of_hits = np.zeros((len(texts), len(SCORE_EDGES) + 1), np.int64)
    np.add.at(of_hits, np.nonzero(hits)[0], _binned(scores[hits], SCORE_EDGES))
    return {
        "sentences": {
            "risk_score": _binned(risk_scores(scores), SCORE_EDGES),
            "category": category,
            "length": lengths,
            "pieces": of_pieces,
        },
        "findings": {
            "score": of_hits,
            "category": category,
            "length": lengths * stated,
            "pieces": of_pieces * stated,
        },
    }


def summed(rows: Mapping[str, Ints]) -> Counts:
    """Return the histograms of all sentences together."""
    return {name: [int(n) for n in found.sum(axis=0)] for name, found in rows.items()}


def scan_counts(scans: Sequence[Mapping[str, Any]], pieces: Pieces) -> Counts:
    """Return the histograms over the findings of scans: all that a scan keeps of a document.

    Raises:
        KeyError, TypeError: a scan lacks coverage or findings.
    """
    parts, contexts = [finding_counts([], 0)], list[str]()
    for scan in scans:
        found = [Found(*(f[key] for key in Found._fields)) for f in scan["findings"]]
        parts.append(finding_counts(found, scan["coverage"]["sentences"]))
        contexts += [f.context for f in surest(found)]
    added = {name: np.sum([part[name] for part in parts], axis=0) for name in parts[0]}
    return {
        **{name: [int(n) for n in counts] for name, counts in added.items()},
        "pieces": [int(n) for n in pieces.counts(contexts).sum(axis=0)],
    }


def _categories(hits: Bools, scores: Floats) -> Ints:
    """Return the category that each sentence most likely states, `none` last."""
    best = category_scores(np.where(hits, scores, 0).astype(np.float32)).argmax(axis=1)
    return np.where(hits.any(axis=1), best, len(CATEGORY_BINS) - 1)


def _binned(values: Sequence[float] | Floats, edges: Sequence[float]) -> Ints:
    """Return (n, n_bins) with a 1 in the bin of each value, as `histogram` has it."""
    bins = np.searchsorted(np.asarray(edges, np.float64), np.asarray(values, np.float64), "right")
    return _one_of(bins, len(edges) + 1)


def _one_of(index: Ints, n: int) -> Ints:
    return np.eye(n, dtype=np.int64)[index]


def _encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[list[int]]:
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        yield encoding.ids


def of_data(path: Path, folder: Path, known: Mapping[str, Any]) -> tuple[dict[str, Shift], str]:
    """Score a file of sentences with the model in `folder`; return shifts and a note on words."""
    examples = [
        Example(row["text"], (), doc=str(row.get("doc") or row["text"]), id=str(row.get("id", "")))
        for row in _lines(path, {"text"})
    ]
    texts = [e.text for e in examples]
    analyzer = LocalAnalyzer.open(folder)
    try:
        scores = score_documents(analyzer, examples)
        hits = analyzer.decide(scores)
    finally:
        analyzer.close()
    pieces = Pieces(artifacts.load(folder).tokenizer(), known["piece_bins"])
    counts = summed(counted(texts, scores, hits, pieces)["sentences"])
    found = shifts(known["sentences"], counts, noise=_noise_of(known, "sentences"))
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
    found = shifts(known["findings"], counts, noise=_noise_of(known, "findings"))
    return found, _unknown(pieces.unknown_share(contexts), known, f"{len(scans):,} scans")


def _noise_of(known: Mapping[str, Any], kind: str) -> Mapping[str, float] | None:
    noise: Mapping[str, float] | None = known.get("noise", {}).get(kind)
    return noise


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
        prog=command("ml", "drift"),
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
