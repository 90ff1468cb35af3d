"""/api/v1/scans/{id}/.../feedback: verdicts on findings, and reports of missed risks."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.tables import Feedback, Permission, Scope, Verdict, roles_with
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.foreign_reads import record_scan_read
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.http.preconditions import Versioned, takes_if_match, version_etag
from service.api.http.rate_limits import limit_documents
from service.api.http.uploads import attached_document
from service.api.schemas.feedback import (
    AnswerIn,
    FeedbackListOut,
    FindingReviewOut,
    GivenFeedbackOut,
    JudgementIn,
    MissedIn,
)
from service.api.schemas.fields import CursorQuery
from service.domain.reviews import reviews
from service.domain.reviews.missed import Missed
from service.domain.reviews.reviews import FindingReview, Judgement
from service.domain.versions import Expected

blueprint = APIBlueprint("feedback", __name__, url_prefix="/api/v1/scans", tag="Reviewing")
_FEEDBACK_CONTENT = {
    "application/json": {"schema": {"$ref": "#/components/schemas/GivenFeedbackOut"}}
}
_FIRST_VERDICT: dict[int | str, dict[str, Any]] = {
    201: {"description": "The caller's first verdict on this finding", "content": _FEEDBACK_CONTENT}
}
_REPLACED_REPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report replaced the caller's earlier one",
        "content": _FEEDBACK_CONTENT,
    }
}


@blueprint.put("/<uuid:scan_id>/findings/<int:n>/feedback")
@blueprint.auth_required(auth)
@key_scope(Scope.REVIEW)
@blueprint.input(JudgementIn, location="json", arg_name="body")
@blueprint.output(GivenFeedbackOut)
@blueprint.doc(
    summary="Confirm, reject or relabel a finding, replacing the caller's earlier verdict",
    responses=_FIRST_VERDICT,
)
@takes_if_match
def judge(scan_id: UUID, n: int, body: dict[str, Any], expected: Expected) -> Versioned[Feedback]:
    judgement = Judgement(
        Verdict(body["verdict"]), tuple(body.get("risk_types", ())), body.get("comment")
    )
    stored, is_first = services().transactions.run(
        reviews.judge, current_user(), scan_id, n, judgement, expected=expected
    )
    return stored, 201 if is_first else 200, version_etag(reviews.version(stored))


@blueprint.get("/<uuid:scan_id>/findings/<int:n>/feedback")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(FindingReviewOut)
@blueprint.doc(
    summary="Get the caller's verdict on a finding; reviewers get everyone's too",
    description="The ETag is that of the caller's own verdict.",
)
def get_feedback(scan_id: UUID, n: int) -> Versioned[FindingReview]:
    record_scan_read(scan_id)
    read = services().transactions.read
    review = read(reviews.review_finding, current_user(), scan_id, n)
    return review, 200, version_etag(reviews.version(review.own))


@blueprint.delete("/<uuid:scan_id>/findings/<int:n>/feedback")
@blueprint.auth_required(auth)
@key_scope(Scope.REVIEW)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Withdraw the caller's verdict on a finding")
def withdraw_verdict(scan_id: UUID, n: int) -> str:
    services().transactions.run(reviews.withdraw_verdict, current_user(), scan_id, n)
    return ""


@blueprint.put("/<uuid:scan_id>/samples/<int:n>/feedback")
@blueprint.auth_required(auth, roles=roles_with(Permission.REVIEW))
@key_scope(Scope.REVIEW)
@blueprint.input(AnswerIn, location="json", arg_name="body")
@blueprint.output(GivenFeedbackOut)
@blueprint.doc(
    summary="Say which risks a sampled sentence without a finding states, if any",
    responses={**_FIRST_VERDICT, 403: {"description": "The caller is no reviewer"}},
)
def answer_sample(scan_id: UUID, n: int, body: dict[str, Any]) -> tuple[Feedback, int]:
    verdict = Verdict.MISSED if body["risk_types"] else Verdict.NO_RISK
    answer = Judgement(verdict, tuple(body["risk_types"]), body.get("comment"))
    stored, is_first = services().transactions.run(
        reviews.answer_sample, current_user(), scan_id, n, answer
    )
    return stored, 201 if is_first else 200


@blueprint.delete("/<uuid:scan_id>/samples/<int:n>/feedback")
@blueprint.auth_required(auth, roles=roles_with(Permission.REVIEW))
@key_scope(Scope.REVIEW)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Withdraw the caller's answer on a sampled sentence", responses=[403])
def withdraw_answer(scan_id: UUID, n: int) -> str:
    services().transactions.run(reviews.withdraw_answer, current_user(), scan_id, n)
    return ""


@blueprint.post("/<uuid:scan_id>/feedback")
@blueprint.auth_required(auth)
@key_scope(Scope.REVIEW)
@blueprint.input(MissedIn, location="form_and_files", arg_name="body")
@blueprint.output(GivenFeedbackOut, status_code=201)
@blueprint.doc(
    summary="Report a missed risk, replacing the caller's earlier report of the same span",
    responses=_REPLACED_REPORT | {429: {"description": "The quota for documents is exhausted"}},
)
@limit_documents
def report_missed(scan_id: UUID, body: dict[str, Any]) -> tuple[Feedback, int]:
    user = current_user()
    document = attached_document(body.pop("file", None), body.pop("text", None))
    missed = Missed(**{**body, "risk_types": tuple(body["risk_types"])})
    stored, is_first = services().reviews.report_missed(user, scan_id, missed, document=document)
    return stored, 201 if is_first else 200


@blueprint.get("/<uuid:scan_id>/feedback")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(FeedbackListOut)
@blueprint.doc(
    summary="List the caller's feedback on a scan, newest first; reviewers get everyone's"
)
def list_feedback(scan_id: UUID, query: dict[str, Any]) -> Listing:
    record_scan_read(scan_id)
    user, read = current_user(), services().transactions.read
    return cursor_page(query, lambda **page: read(reviews.list_feedback, user, scan_id, **page))


@blueprint.delete("/<uuid:scan_id>/feedback/<uuid:feedback_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.REVIEW)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Withdraw the caller's verdict or missed-risk report by its id")
def withdraw(scan_id: UUID, feedback_id: UUID) -> str:
    services().transactions.run(reviews.withdraw, current_user(), scan_id, feedback_id)
    return ""
