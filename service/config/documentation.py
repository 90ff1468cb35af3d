"""Reference pages for people, rendered from the code: `make docs` writes them, a test compares them."""

from __future__ import annotations

from service.config.settings import ROOT
from service.errors import PROBLEM_TYPES

_ERRORS = """\
# Errors

Every error is an RFC 9457 `application/problem+json` document, those of the web framework included. It has
the members `type`, `title`, `status`, `detail`, `instance`, `code`, `request_id` and `errors`, which lists
every faulty field. Programs should branch on `code`: each code has one meaning.

"""


def error_table() -> str:
    """Return the Markdown table of all problem types."""
    rows = (f"| `{code}` | {p.status} | {p.meaning} |\n" for code, p in PROBLEM_TYPES.items())
    return "| code | status | meaning |\n|---|---|---|\n" + "".join(rows)


def pages() -> dict[str, str]:
    """Return the text of each generated file by its path in the repository."""
    return {"docs/errors.md": _ERRORS + error_table()}


if __name__ == "__main__":
    for name, text in pages().items():
        (ROOT / name).write_text(text, encoding="utf-8")
