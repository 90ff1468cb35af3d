"""Recall of search: the questions of search_queries.jsonl over risk sentences that trained no model."""

import json
from pathlib import Path

import numpy as np
import uuid_utils.compat

from db.queries import search as queries
from db.queries.reach import own
from db.queries.users import add_user
from service.domain.search.candidates import CANDIDATES
from service.domain.search.fusion import fused
from service.domain.search.terms import Kind, stems, stored_terms, wanted_terms
from tests.bench.search_rows import finding_row, scan_row, store

DATA = Path(__file__).parents[2] / "ml" / "data"
QUERIES = Path(__file__).with_name("search_queries.jsonl")
NONSENSE = (
    *("qwertyzxcv", "asdf", "zzz", "xkcd jjjj qqq", "blub", "foo bar", "12345", "hello", "banana"),
    *("nuclear submarine", "lorem ipsum dolor sit amet", "pizza recipe with mozzarella"),
    *("the weather in Paris tomorrow", "football world cup final", "best holiday beaches in Spain"),
    *("how to knit a scarf", "guitar chords for beginners", "cat videos", "purple elephant dance"),
    *("my grandmother's apple pie", "dinosaur fossils", "moon landing 1969", "stamp collecting"),
    *("romantic poetry of the 19th century", "who won the election", "yoga for back pain"),
    *(
        "chocolate cake",
        "Beethoven ninth symphony",
        "fishing in Norway",
        "garden flowers in spring",
    ),
)
"""Texts that no sentence of the recall set answers."""
_BOUNDS = (0.35, 0.4, 0.45, 0.5, 0.55)


def recall_set():
    """Return the sentences of the recall set, and each question with the places of its answers."""
    asked = [json.loads(line) for line in QUERIES.read_text(encoding="utf-8").splitlines()]
    files = sorted({answer["file"] for entry in asked for answer in entry["answers"]})
    places, texts = {}, []
    for file in files:
        lines = (DATA / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, start=1):
            entry = json.loads(line)
            if entry["labels"]:
                places[file, number] = len(texts)
                texts.append(entry["text"])
    return texts, [
        (entry["query"], {places[a["file"], a["line"]] for a in entry["answers"]})
        for entry in asked
    ]


def recall(services):
    """Return the share of questions with an answer among the first ten, by words, meaning and both."""
    texts, asked = recall_set()
    encoder = services.analyzers.default.encoder
    vectors = encoder.vectors(texts)
    owner = services.transactions.run(
        lambda s: add_user(s, email="recall@corp.local", password_hash="argon2").id
    )
    scan_id = uuid_utils.compat.uuid7()
    words = [stored_terms(Kind.FINDING, owner, stems(text)) for text in texts]
    terms = [
        {"scan_id": scan_id, "n": n, "document_id": None, "words": listed}
        for n, listed in enumerate(words, start=1)
    ]
    findings = [finding_row(scan_id, n, text) for n, text in enumerate(texts, start=1)]
    services.transactions.run(store, [scan_row(owner, scan_id, 0)], findings, terms, [])
    hits = {"words": 0, "meaning": 0, "both": 0}
    best = []
    for query, answers in asked:
        wanted = wanted_terms(Kind.FINDING, [owner], stems(query))
        by_words = services.transactions.read(
            queries.findings_by_words, wanted, own(owner), category=None, limit=CANDIDATES
        )
        ranked = {"words": [n - 1 for _, n in by_words]}
        similarities = vectors @ encoder.vectors([query])[0]
        best.append(max(similarities[k] for k in answers))
        order = np.argsort(-similarities, kind="stable")
        ranked["meaning"] = order[:CANDIDATES].tolist()
        both = [item for item, _, _ in fused(ranked)]
        for way, listed in {**ranked, "both": both}.items():
            hits[way] += bool(answers & set(listed[:10]))
    return {
        "n_questions": len(asked),
        "n_sentences": len(texts),
        "bounds": _bounds(np.array(best), vectors @ encoder.vectors(NONSENSE).T),
        **{way: n / len(asked) for way, n in hits.items()},
    }


def _bounds(right, nonsense):
    """Return what a least cosine would do: why search has none.

    `right` has the cosine of each question's nearest answer, `nonsense` those of each sentence (rows) with
    each text of NONSENSE. For each bound: the share of answers that reach it, the share of such texts that
    find nothing, and the median number of sentences that one finds.
    """
    reached = {bound: nonsense >= bound for bound in _BOUNDS}
    return {
        "right": np.quantile(right, [0, 0.05, 0.5, 1]).round(2).tolist(),
        "nonsense": np.quantile(nonsense.max(axis=0), [0, 0.5, 1]).round(2).tolist(),
        "by_bound": {
            str(bound): {
                "right": float((right >= bound).mean()),
                "nonsense_without_result": float((~found.any(axis=0)).mean()),
                "n_of_nonsense": float(np.median(found.sum(axis=0))),
            }
            for bound, found in reached.items()
        },
    }
