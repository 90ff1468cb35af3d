"""The form in which a network reads a sentence, whatever the document's lists and last characters are.

The tokenizer holds the rules, so the service, a training and an exported model read a sentence alike.
"""

from __future__ import annotations

from typing import get_args

from tokenizers import Regex, Tokenizer
from tokenizers.normalizers import Normalizer, Replace, Sequence

from ml.settings import SentenceForm

_LIST_MARKS = r"\A\s*(?:[-*+•◦▪·\u2013\u2014]\s+|\(?(?:\d{1,2}[.)]|[a-z]\))\s+)+"
# Each part of the text is tried once: hostile sentences are long.
_END = r"(?<![\s.;])[\s.;]++\z"
_NO_END = r"(?<![.!?:,])\z"


def read_in_form(tokenizer: Tokenizer, form: SentenceForm) -> None:
    """Let `tokenizer` read each sentence in a form.

    "written" leaves a sentence as it is. "bare" leaves out the marks of a list in front of it, and the full
    stops, semicolons and white space at its end. "stopped" does the same, then ends it with a full stop,
    unless it ends with one of `!?:,`.

    Raises:
        ValueError: `form` is none of these.
    """
    if form not in get_args(SentenceForm):
        raise ValueError(f"{form!r} is no form of a sentence")
    if form == "written":
        return
    rules: list[Normalizer] = [Replace(Regex(_LIST_MARKS), ""), Replace(Regex(_END), "")]
    if form == "stopped":
        rules.append(Replace(Regex(_NO_END), "."))
    if tokenizer.normalizer is not None:
        rules.append(tokenizer.normalizer)
    tokenizer.normalizer = Sequence(rules)
