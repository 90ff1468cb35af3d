"""The pages' scripts import what they call, and no more.

A browser reports a missing import only when it runs the call.
"""

import re

import pytest

from service.config.settings import ROOT

SCRIPTS = {path.name: path.read_text() for path in (ROOT / "service/web/static").glob("*.js")}
_EXPORT = re.compile(r"^export (?:async )?(?:function|const|class) (\w+)", re.MULTILINE)
_IMPORT = re.compile(r"^import \{ ([^}]+) \} from", re.MULTILINE)
_NO_CODE = re.compile(r"^(?:import .*|\s*(?://|/?\*).*)$", re.MULTILINE)
_BARE = r"(?<![\w$])(?<!(?<!\.\.)\.)"
"""Before a name that is no attribute; `...name` is none either."""
_DEFINITION = (
    r"(?:function|const|let|class) {name}\b|\b{name}(?:, \w+)*\)? =>"
    r"|^  (?:async )?{name}\([^)]*\) \{{"
)
EXPORTED = {name for text in SCRIPTS.values() for name in _EXPORT.findall(text)}


def imported_by(text):
    names = (one for group in _IMPORT.findall(text) for one in group.split(","))
    return {name.split(" as ")[-1].strip() for name in names}


def unused(text):
    """Return the names that a script imports, but does not read; comments do not count."""
    code = _NO_CODE.sub("", text)
    return {name for name in imported_by(text) if not re.search(rf"{_BARE}{name}\b", code)}


def missing(text):
    """Return the exported names that a script calls, but neither imports nor defines."""
    called = {name for name in EXPORTED if re.search(rf"{_BARE}{name}\(", text)}
    return {
        name
        for name in called - imported_by(text)
        if not re.search(_DEFINITION.format(name=name), text, re.MULTILINE)
    }


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_script_imports_what_it_calls(name):
    assert missing(SCRIPTS[name]) == set()


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_script_reads_what_it_imports(name):
    assert unused(SCRIPTS[name]) == set()


def test_unused_import_is_found():
    text = SCRIPTS["batches.js"]
    assert unused(text.replace("remove(`/batches", "post(`/batches")) == {"remove"}


def test_missing_import_is_found():
    text = SCRIPTS["review.js"]
    assert missing(text.replace("count, ", "", 1)) == {"count"}
