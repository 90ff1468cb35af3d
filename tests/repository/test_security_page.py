"""docs/security.md names tests that exist, for each row of the OWASP API Security Top 10."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def functions(path):
    nodes = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def test_each_test_of_the_page_exists():
    named = TEST.findall(PAGE)
    assert len(named) == PAGE.count("::")
    assert not [f"{path}::{name}" for path, name in named if name not in functions(path)]


def test_each_row_of_the_top_ten_names_tests():
    sections = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    rows = {section.partition(":")[0]: section for section in sections}
    assert [*rows] == [f"API{n}" for n in range(1, 11)]
    assert not [name for name, section in rows.items() if not TEST.search(section)]
