"""/api/v1/reviews: the reviewers' queue, how far they agree, and counts of findings over time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.tables import Permission, SampledSentence, Scan, Scope, roles_with
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.schemas.reviews import (
    AgreementOut,
    QueueOut,
    QueueQuery,
    RecallOut,
    RecallQuery,
    SampleListOut,
    SampleQuery,
    SummaryOut,
    SummaryQuery,
)
from service.domain.access import in_scope, judgeable
from service.domain.reviews import queue, recall
from service.domain.reviews.queue import QueueItem, QueueKind, Summary
from service.nlp.taxonomy import Taxonomy

blueprint = APIBlueprint("reviews", __name__, url_prefix="/api/v1/reviews", tag="Reviewing")
_KINDS = {QueueKind.UNSURE: queue.unsure, QueueKind.DISPUTED: queue.disputed}


@blueprint.get("/queue")
@blueprint.auth_required(auth, roles=roles_with(Permission.REVIEW))
@key_scope(Scope.REVIEW)
@blueprint.input(QueueQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(QueueOut)
@blueprint.doc(summary="List the findings that wait for a reviewer", responses=[403])
def get_queue(query: dict[str, Any]) -> dict[str, Any]:
    items = services().transactions.read(
        _KINDS[QueueKind(query["kind"])],
        current_user(),
        services().thresholds(),
        limit=query["per_page"],
        category=query.get("category"),
    )
    shown = [item.scan for item in items]
    services().foreign_reads.store_list(current_user().id, "review_queue", shown)
    return {"items": [_item_fields(item, services().taxonomy) for item in items]}


@blueprint.get("/agreement")
@blueprint.auth_required(auth, roles=roles_with(Permission.REVIEW))
@key_scope(Scope.REVIEW)
@blueprint.output(AgreementOut)
@blueprint.doc(summary="Compare the verdicts of different users, by category", responses=[403])
def get_agreement() -> dict[str, Any]:
    taxonomy = services().taxonomy
    rows = services().transactions.read(queue.agreement, judgeable(current_user()))
    titled = [(row, taxonomy.category_title(row.category, None)) for row in rows]
    return {
        "items": [
            {
                "category": row.category,
                "category_title": title,
                "n_judged": row.n_judged,
                "n_confirmed": row.n_confirmed,
                "n_pairs": row.n_pairs,
                "n_agreeing": row.n_agreeing,
            }
            for row, title in titled
        ]
    }


@blueprint.get("/summary")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(SummaryQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(SummaryOut)
@blueprint.doc(summary="Count findings by day and category, and those without a verdict")
def get_summary(query: dict[str, Any]) -> Summary:
    reach = in_scope(current_user(), query["scope"])
    return services().transactions.read(queue.summary, reach, n_days=query["days"])


@blueprint.get("/sample")
@blueprint.auth_required(auth, roles=roles_with(Permission.REVIEW))
@key_scope(Scope.REVIEW)
@blueprint.input(SampleQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(SampleListOut)
@blueprint.doc(
    summary="List randomly drawn sentences without a finding that wait for a reviewer",
    responses=[403],
)
def get_sample(query: dict[str, int]) -> dict[str, Any]:
    sample = services().transactions.read(
        recall.open_sample,
        judgeable(current_user()),
        _serving(),
        n_days=query["days"],
        limit=query["per_page"],
    )
    shown = [scan for _, scan in sample.items]
    services().foreign_reads.store_list(current_user().id, "review_sample", shown)
    return {"items": [_sample_fields(*row) for row in sample.items], "n_open": sample.n_open}


@blueprint.get("/recall")
@blueprint.auth_required(auth, roles=roles_with(Permission.REVIEW))
@key_scope(Scope.REVIEW)
@blueprint.input(RecallQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(RecallOut)
@blueprint.doc(
    summary="Estimate the share of risks that the serving model finds, from reviewers' answers",
    responses=[403],
)
def get_recall(query: dict[str, int]) -> dict[str, Any]:
    estimate = services().transactions.read(
        recall.estimate_recall, judgeable(current_user()), _serving(), n_days=query["days"]
    )
    return {"model": "/".join(_serving()), **asdict(estimate)}


def _serving() -> tuple[str, str]:
    analyzer = services().analyzers.default
    return analyzer.model_name, analyzer.model_version


def _sample_fields(sampled: SampledSentence, scan: Scan) -> dict[str, Any]:
    return {
        "scan_id": scan.id,
        "document_id": scan.document_id,
        "filename": scan.filename,
        "created_at": scan.created_at,
        "sample": sampled.n,
        "start": sampled.start,
        "end": sampled.end,
        "context": sampled.context,
    }


def _item_fields(item: QueueItem, taxonomy: Taxonomy) -> dict[str, Any]:
    finding = item.finding
    return {
        "scan_id": item.scan.id,
        "filename": item.scan.filename,
        "created_at": item.scan.created_at,
        "finding": finding.n,
        "risk_type": finding.risk_type,
        "risk": taxonomy.risk_title(finding.risk_type, finding.foreign_risk),
        "category": finding.category,
        "category_title": taxonomy.category_title(finding.category, finding.foreign_category),
        "score": finding.score,
        "threshold": item.threshold,
        "context": finding.context,
        "page": finding.page,
        "answers": item.answers,
    }
