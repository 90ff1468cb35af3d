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
    terms = [
        {
            "scan_id": scan_id,
            "n": n,
            "document_id": None,
            "words": stored_terms(Kind.FINDING, owner, stems(text)),
        }
        for n, text in enumerate(texts, start=1)
    ]
    findings = [finding_row(scan_id, n, text) for n, text in enumerate(texts, start=1)]
    services.transactions.run(store, [scan_row(owner, scan_id, 0)], findings, terms, [])
    hits = {"words": 0, "meaning": 0, "both": 0}
    for query, answers in asked:
        wanted = wanted_terms(Kind.FINDING, [owner], stems(query))
        by_words = services.transactions.read(
            queries.findings_by_words, wanted, own(owner), category=None, limit=CANDIDATES
        )
        ranked = {"words": [n - 1 for _, n in by_words]}
        order = np.argsort(-(vectors @ encoder.vectors([query])[0]), kind="stable")
        ranked["meaning"] = order[:CANDIDATES].tolist()
        both = [item for item, _, _ in fused(ranked)]
        for way, listed in {**ranked, "both": both}.items():
            hits[way] += bool(answers & set(listed[:10]))
    return {"n_questions": len(asked), "n_sentences": len(texts)} | {
        way: n / len(asked) for way, n in hits.items()
    }
