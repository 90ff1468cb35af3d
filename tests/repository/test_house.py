"""Rules that the source must follow: lengths of files and functions, numbers of migrations."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    path.relative_to(ROOT): path.read_text(encoding="utf-8")
    for top in ("service", "db", "ml", "tests")
    for path in sorted((ROOT / top).rglob("*.py"))
}
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 40
LAST_WITHOUT_ORIGIN = "0038"
"""Revisions up to this one do not name the oldest code that runs on their schema."""


def test_no_file_is_too_long():
    lengths = {str(path): len(source.splitlines()) for path, source in SOURCES.items()}
    assert not {path: n for path, n in lengths.items() if n > MAX_FILE_LINES}


def test_no_function_is_too_long():
    lengths = {
        f"{path}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path, source in SOURCES.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    }
    assert not {name: n for name, n in lengths.items() if n > MAX_FUNCTION_LINES}


def modules_in(folder):
    return {
        path.stem
        for path in (ROOT / folder).iterdir()
        if path.stem != "__init__" and (path.suffix == ".py" or (path / "__init__.py").exists())
    }


def test_independence_contracts_name_every_noun():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    named = {module for c in contracts if c["type"] == "independence" for module in c["modules"]}
    domain = {p.parent.name for p in (ROOT / "service/domain").glob("*/__init__.py")}
    api = modules_in("service/api") - {"http", "schemas", "current"}
    nouns = {f"service.domain.{n}" for n in domain} | {f"service.api.{n}" for n in api}
    assert nouns - named == set(), "add them to the independence contracts in pyproject.toml"


def test_migrations_are_one_chain_with_the_numbers_of_their_files():
    files = sorted((ROOT / "db/migrations/versions").glob("r*.py"))
    numbers = [file.name[1:5] for file in files]
    assert numbers == [f"{n:04}" for n in range(1, len(files) + 1)], "renumber the newer one"
    before = None
    for file, number in zip(files, numbers, strict=True):
        source = file.read_text(encoding="utf-8")
        named = re.search(r'^revision = "(\d{4})(\.from\.\d{4})?"$', source, re.MULTILINE)
        assert named[1] == number
        assert named[2] or number <= LAST_WITHOUT_ORIGIN, "name the oldest code, see script.py.mako"
        assert f"\ndown_revision: str | None = {before!r}".replace("'", '"') in source
        before = named[0].split('"')[1]
