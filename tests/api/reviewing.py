"""A document with two findings, and what reviewers do with them over HTTP."""

from tests.support.sentences import FLOW_TEXT

BUDGET, SCHEDULE = "tight-budget", "aggressive-deadline"
BLUE = "It is blue \U0001f535 here."
TEXT = f"{FLOW_TEXT}. {BLUE}"


def finding(user, scan, risk_type=BUDGET):
    items = user.http.get(f"{scan}/findings").json()["items"]
    return next(f for f in items if f["risk_type"] == risk_type)


def judge(user, scan, n, verdict="confirmed", **body):
    return user.http.put(f"{scan}/findings/{n}/feedback", json={"verdict": verdict, **body})


def missed_body(context=BLUE, risk_types=("outage",)):
    start = TEXT.index(BLUE)
    span = {"start": start, "end": start + len(context)}
    return {**span, "context": context, "risk_types": [*risk_types]}


def missed(user, scan, context=BLUE, risk_types=("outage",), **changed):
    body = {**missed_body(context, risk_types), **changed}
    return user.http.post(f"{scan}/feedback", json=body)


def verified(user, scan, context=BLUE, risk_types=("outage",), **changed):
    """Report a missed risk together with the document."""
    return missed(user, scan, context, risk_types, **{"text": TEXT, **changed})


def review(user, scan, n):
    return user.http.get(f"{scan}/findings/{n}/feedback").raise_for_status().json()


def listed(user, scan):
    return user.http.get(f"{scan}/feedback").raise_for_status().json()["items"]
