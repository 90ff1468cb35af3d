"""The pages' scripts: each imports what it calls. A browser would notice only when it gets there."""

import re

import pytest

from service.config.settings import ROOT

SCRIPTS = {path.name: path.read_text() for path in (ROOT / "service/web/static").glob("*.js")}
_EXPORT = re.compile(r"^export (?:async )?(?:function|const|class) (\w+)", re.MULTILINE)
_IMPORT = re.compile(r"^import \{ ([^}]+) \} from", re.MULTILINE)
_OWN = r"(?:function|const|let|class) {name}\b|\b{name}(?:, \w+)*\)? =>|^  (?:async )?{name}\([^)]*\) \{{"
EXPORTED = {name for text in SCRIPTS.values() for name in _EXPORT.findall(text)}


def missing(text):
    """Return the exported names that a script calls, but neither imports nor defines."""
    imported = {
        one.split(" as ")[-1].strip() for names in _IMPORT.findall(text) for one in names.split(",")
    }
    called = {name for name in EXPORTED if re.search(rf"(?<![\w$])(?<!(?<!\.\.)\.){name}\(", text)}
    return {
        name
        for name in called - imported
        if not re.search(_OWN.format(name=name), text, re.MULTILINE)
    }


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_script_imports_what_it_calls(name):
    assert missing(SCRIPTS[name]) == set()


def test_missing_import_is_found():
    text = SCRIPTS["review.js"]
    assert missing(text.replace("messagesOf, ", "", 1)) == {"messagesOf"}
