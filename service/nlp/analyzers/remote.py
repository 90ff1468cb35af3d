"""RemoteAnalyzer: another service with a POST /scan, which may have its own taxonomy."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from service.errors import AnalyzerError
from service.nlp.analyzers.base import Analyzer, Progress
from service.nlp.analyzers.http_client import FormPart, JsonClient
from service.nlp.analyzers.llm_budget import UNLIMITED, LlmBudget
from service.nlp.artifacts.operating_points import Sensitivity
from service.nlp.deadline import Deadline
from service.nlp.document import Analysis, Document, Finding, Source
from service.nlp.extraction.text_builder import storable
from service.nlp.observer import NULL_OBSERVER, Observer, observe_call
from service.nlp.quotations import QuotableText
from service.nlp.span import Span
from service.nlp.taxonomy import MAX_TITLE_CHARS, Taxonomy


class RemoteAnalyzer(Analyzer):
    """Posts the file or the text to AI_SERVICE_URL, then locates each `context` of the answer in the text."""

    source: ClassVar[Source] = "model"  # each Analysis has the source that its answer states
    takes_files: ClassVar[bool] = True
    model_version = ""

    def __init__(
        self,
        url: str,
        *,
        taxonomy: Taxonomy,
        token: str = "",
        force_llm: bool = False,
        budget: LlmBudget = UNLIMITED,
        observer: Observer = NULL_OBSERVER,
    ) -> None:
        """Use `{url}/scan`, whose titles `taxonomy` maps to keys; connects at first use."""
        self.taxonomy = taxonomy
        self.model_name = "remote"
        self._observer = observer
        self._force_llm = force_llm
        self._budget = budget
        self._client = JsonClient(
            f"{url.rstrip('/')}/scan",
            setting="AI_SERVICE_URL",
            token=token,
            on_circuit=lambda is_open: observer.circuit_changed("ai_service", is_open),
        )

    def analyze(
        self,
        document: Document,
        *,
        sensitivity: Sensitivity = "balanced",
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Analysis:
        if self._force_llm:
            self._budget.reserve(0)  # that service counts its own tokens
        form = self._form(document, sensitivity)
        with observe_call(self._observer, "ai_service", self._client.host) as call:
            call.n_sentences = len(document.sentences) if document.file is None else None
            answer = self._client.post_form(form, deadline=deadline, call=call)
            items, source = _parsed(answer)
        locate = _Locator(document).locate
        findings = []
        for item in items:
            if deadline is not None:
                deadline.check()
            findings.append(self._finding(item, document, locate(item)))
        findings.sort(key=self._position)
        if progress is not None:
            progress(len(document.sentences), len(document.sentences))
        return Analysis(self.taxonomy, findings, source, self.model_name, self.model_version)

    def close(self) -> None:
        self._client.close()

    def _finding(self, item: _Item, document: Document, span: Span | None) -> Finding:
        risk_type = self.taxonomy.risk_type_by_title(item.risk)
        category = self.taxonomy.category_by_title(item.category)
        start, end = span or (None, None)
        return Finding(
            risk_type=risk_type,
            category=category,
            score=None,
            context=item.context,
            start=start,
            end=end,
            foreign_risk=None if risk_type else item.risk,
            foreign_category=None if category else item.category,
            **document.place_at(start)._asdict(),
        )

    def _position(self, finding: Finding) -> tuple[bool, int, int, int]:
        """Return the sort key: document order; findings without a span last, in the order of the answer."""
        if finding.start is None or finding.end is None:
            return True, 0, 0, 0
        columns = self.taxonomy.columns
        order = columns.get(finding.risk_type or "", len(columns))
        return False, finding.start, finding.end, order

    def _form(self, document: Document, sensitivity: Sensitivity) -> dict[str, FormPart]:
        """Return the fields of the older contract, and newer ones only if they differ from their defaults."""
        file = document.file
        form: dict[str, FormPart]
        if file is not None:
            form = {"file": (file.filename, file.data, file.media_type)}
        else:
            form = {"text": (None, document.text)}
        if self._force_llm:
            form["force_llm"] = (None, "true")
        if sensitivity != "balanced":
            form["sensitivity"] = (None, sensitivity)
        return form


@dataclass(frozen=True, slots=True)
class _Item:
    """One entry of an answer's `data`."""

    risk: str
    category: str
    context: str


class _Locator:
    """Locates contexts in a document.

    If an answer repeats a risk with the same context, its n-th item gets the n-th occurrence in the text, or
    the last one if there are fewer.
    """

    def __init__(self, document: Document) -> None:
        self._text = document.text
        self._seen: Counter[tuple[str, str]] = Counter()
        self._spans: dict[str, list[Span]] = defaultdict(list)
        for sentence in document.sentences:
            span = (sentence.start, sentence.end)
            self._spans[document.text[sentence.start : sentence.end]].append(span)

    def locate(self, item: _Item) -> Span | None:
        """Return the span of the item's context; None if the text does not contain it."""
        number = self._seen[item.risk, item.context]
        self._seen[item.risk, item.context] += 1
        spans = self._spans[item.context]
        if number >= len(spans):  # the other service splits sentences differently
            known = set(spans)
            spans += [span for span in self._quotable.spans(item.context) if span not in known]
        return spans[min(number, len(spans) - 1)] if spans else None

    @cached_property
    def _quotable(self) -> QuotableText:
        # A service that extracts the text itself may break lines differently.
        return QuotableText(self._text)


def _parsed(answer: object) -> tuple[list[_Item], Source]:
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise _malformed("lacks the list `data`")
    source = answer.get("source")
    if source != "model" and source != "llm":  # noqa: PLR1714 - a set would need a hashable source
        raise _malformed('has a `source` other than "model" or "llm"')
    return [_item(item) for item in answer["data"]], source


def _item(item: Any) -> _Item:  # noqa: ANN401 - JSON, checked here
    keys = ("risk", "category", "context")
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in keys):
        raise _malformed("has an item without the strings risk, category and context")
    risk, category, context = (storable(item[key]) for key in keys)
    if not (risk.strip() and category.strip() and context.strip()):
        raise _malformed("has an item with an empty risk, category or context")
    if max(len(risk), len(category)) > MAX_TITLE_CHARS:
        raise _malformed(f"has a risk or category of more than {MAX_TITLE_CHARS} characters")
    return _Item(risk, category, context)


def _malformed(what: str) -> AnalyzerError:
    return AnalyzerError(
        f"The answer of AI_SERVICE_URL {what}; the scan was refused. Check that the service there "
        "speaks the POST /scan contract."
    )
