"""RemoteAnalyzer: another service that answers POST /scan."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from typing import Any, ClassVar

from service.errors import AnalyzerError
from service.nlp.analyzer import Analysis, Analyzer, Deadline, Document, Finding, Progress, Source
from service.nlp.http_json import JsonClient
from service.nlp.observing import NOBODY, Observer, call_told
from service.nlp.operating_point import Sensitivity
from service.nlp.taxonomy import CATEGORY_TITLES, RISK_TYPES, category_of, risk_type_of_title

Span = tuple[int, int]
_ORDER = {risk_type: position for position, risk_type in enumerate(RISK_TYPES)}


class RemoteAnalyzer(Analyzer):
    """Sends the text to AI_SERVICE_URL and finds each `context` of the answer again in the text."""

    source: ClassVar[Source] = "model"  # what an answer says of itself goes into its Analysis
    model_version = ""

    def __init__(
        self, url: str, *, token: str = "", force_llm: bool = False, observer: Observer = NOBODY
    ) -> None:
        """Ask `{url}/scan`; connects at first use."""
        self.model_name = "remote"
        self._observer = observer
        self._force_llm = force_llm
        self._client = JsonClient(f"{url.rstrip('/')}/scan", setting="AI_SERVICE_URL", token=token)

    def analyze(
        self,
        document: Document,
        *,
        sensitivity: Sensitivity = "balanced",
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Analysis:
        payload: dict[str, object] = {"text": document.text, "force_llm": self._force_llm}
        if sensitivity != "balanced":  # a service of the older contract knows no such field
            payload["sensitivity"] = sensitivity
        with call_told(self._observer, "ai_service"):
            items, source = _parsed(self._client.post(payload, deadline=deadline))
            locator = _Locator(document)
            findings = [locator.finding(risk_type, context) for risk_type, context in items]
        findings.sort(key=lambda f: (f.start, f.end, _ORDER[f.risk_type]))
        if progress is not None:
            progress(len(document.sentences), len(document.sentences))
        return Analysis(findings, source, self.model_name, self.model_version)

    def close(self) -> None:
        self._client.close()


class _Locator:
    """Finds contexts in a document.

    The n-th time that a risk type comes with the same context, the context's n-th occurrence is meant.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._starts = [s.start for s in document.sentences]
        self._seen: Counter[tuple[str, str]] = Counter()
        self._spans: dict[str, list[Span]] = defaultdict(list)
        for sentence in document.sentences:
            span = (sentence.start, sentence.end)
            self._spans[document.text[sentence.start : sentence.end]].append(span)

    def finding(self, risk_type: str, context: str) -> Finding:
        start, end = self._locate(risk_type, context)
        at = bisect_right(self._starts, start) - 1
        return Finding(
            risk_type=risk_type,
            category=category_of(risk_type),
            score=None,
            context=context,
            start=start,
            end=end,
            page=self._document.sentences[at].page if at >= 0 else None,
        )

    def _locate(self, risk_type: str, context: str) -> Span:
        number = self._seen[risk_type, context]
        self._seen[risk_type, context] += 1
        if number >= len(self._spans[context]):  # the other service cuts sentences elsewhere
            known = set(self._spans[context])
            found = _occurrences(self._document.text, context)
            self._spans[context] += [span for span in found if span not in known]
        if number >= len(self._spans[context]):
            raise _malformed("quotes a sentence that the text does not hold")
        return self._spans[context][number]


def _occurrences(text: str, context: str) -> list[Span]:
    spans = []
    at = text.find(context)
    while at >= 0:
        spans.append((at, at + len(context)))
        at = text.find(context, at + len(context))
    return spans


def _parsed(answer: object) -> tuple[list[tuple[str, str]], Source]:
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise _malformed("lacks the list `data`")
    source = answer.get("source")
    if source != "model" and source != "llm":  # noqa: PLR1714 - a set would need a hashable source
        raise _malformed('has a `source` other than "model" or "llm"')
    return [_item(item) for item in answer["data"]], source


def _item(item: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON, checked here
    keys = ("risk", "category", "context")
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in keys):
        raise _malformed("has an item without risk, category and context")
    risk_type = risk_type_of_title(item["risk"])
    if risk_type is None:
        raise _malformed("names a risk that does not exist")
    if CATEGORY_TITLES[category_of(risk_type)] != item["category"]:
        raise _malformed("puts a risk into a category that is not its own")
    if not item["context"].strip():
        raise _malformed("has an empty context")
    return risk_type, item["context"]


def _malformed(what: str) -> AnalyzerError:
    return AnalyzerError(
        f"The answer of AI_SERVICE_URL {what}; the scan was refused. Check that the service there "
        "speaks the POST /scan contract and knows the same risk types."
    )
