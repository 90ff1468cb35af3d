"""Who may call a route: the kinds of callers, and the request by which a test asks as each of them."""

from dataclasses import dataclass, field

CALLERS = (
    "nobody",
    "user",
    "team-reviewer",
    "reviewer",
    "instructor",
    "analyst",
    "auditor",
    "admin",
    "owner",
)
"""`owner` is an ordinary user: the scan, document, feedback, session, file, log-in in a path are theirs.

The owner shares none of it; tests/api/test_teams.py has what members of teams may do.
"""


@dataclass(frozen=True)
class Access:
    """The callers that a route lets in; it answers `refusal` to other accounts and `stranger` to nobody.

    `scope` is what an API key needs; without one, the route needs a log-in. `blind` are those who may use the
    route, but do not see the object: it answers 404.
    """

    callers: frozenset
    refusal: int = 403
    stranger: int = 401
    body: dict = field(default_factory=dict)
    scope: str | None = None
    files: dict | None = None
    query: dict = field(default_factory=dict)
    headers: dict = field(default_factory=dict)
    blind: tuple = ()

    def request(self, places=None):
        """Return the arguments of the request: its query, and its JSON or a form with a file.

        Values that are parameters of paths are those of `places`.
        """
        body, query = (
            {
                name: (places or {}).get(value, value) if isinstance(value, str) else value
                for name, value in fields.items()
            }
            for fields in (self.body, self.query)
        )
        content = {"files": self.files} if self.files else {"json": body}
        return {"params": query, "headers": self.headers, **content}


def to(*callers, **rest):
    return Access(frozenset(callers), **rest)


ANYONE = to(*CALLERS)
TO_OWN_FORMS = Access(frozenset(), refusal=403, stranger=403)
ACCOUNTS = to(*CALLERS[1:])
ADMINS = to("admin", scope="admin")
ANALYSTS = to("analyst", "admin", scope="admin")
AUDITORS = to("auditor", "admin", scope="admin")
OWNER = to("owner", refusal=404)
REVIEWING = ("owner", "reviewer", "admin")
READERS = to(*REVIEWING, refusal=404, scope="read")
REVIEWERS = to("team-reviewer", "reviewer", "admin", scope="review")
SAMPLE_REVIEWERS = to("reviewer", "admin", scope="review", blind=("team-reviewer",))
JUDGES = to(*REVIEWING, refusal=404, scope="review")
