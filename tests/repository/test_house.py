"""The rules of the house, held over the source itself."""

import re
from pathlib import Path

import pytest

from service import errors
from service.api.http import problem_document
from service.config import settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

SOURCES = sorted(p for top in ("service", "db", "ml") for p in (ROOT / top).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("setting", settings.SETTINGS, ids=lambda s: s.name)
def test_setting_is_documented_with_its_default(setting):
    row = re.search(rf"^\| `{setting.name}` \| (.*?) \| (.+) \|$", README, re.MULTILINE)
    assert row, f"README.md has no row for {setting.name}"
    assert row[1] == (f"`{setting.default}`" if setting.default else "")
    assert row[2] == setting.help


def test_settings_and_config_fields_are_the_same_in_the_same_order():
    assert [s.attribute for s in settings.SETTINGS] == list(settings.Config.__dataclass_fields__)


def error_classes(cls=errors.RiskscanError):
    """The tree of errors.py; steps of ml add start-up errors of their own."""
    own = [sub for sub in cls.__subclasses__() if sub.__module__ == errors.__name__]
    return [cls, *(c for sub in own for c in error_classes(sub))]


@pytest.mark.parametrize("cls", error_classes(), ids=lambda c: c.__name__)
def test_error_has_code_status_title_and_a_row_in_the_readme(cls):
    status = errors.HTTP_STATUS[cls.code]
    assert problem_document.TITLES[cls.code]
    assert re.search(rf"^\| `{cls.code}` \| {status} \| .+ \|$", README, re.MULTILINE)
    assert cls.__name__ in errors.__doc__ or cls is errors.RiskscanError


def test_every_code_of_the_table_is_documented():
    for code, status in errors.HTTP_STATUS.items():
        assert f"| `{code}` | {status} | {errors.MEANINGS[code]} |" in README
    assert set(problem_document.TITLES) == set(errors.HTTP_STATUS) == set(errors.MEANINGS)


def test_error_code_has_one_class():
    answered = [c for c in error_classes() if not issubclass(c, errors.StartupError)]
    codes = [c.code for c in answered if not c.__subclasses__()]
    assert len(codes) == len(set(codes))
    assert errors.Unavailable.code not in codes


def test_files_stay_readable():
    long = {module_of(p): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 400}
    assert not long


def test_migrations_are_one_chain_with_the_numbers_of_their_files():
    files = sorted((ROOT / "db/migrations/versions").glob("r*.py"))
    numbers = [file.name[1:5] for file in files]
    assert numbers == [f"{n:04}" for n in range(1, len(files) + 1)], "renumber the newer one"
    for file, number, before in zip(files, numbers, [None, *numbers], strict=False):
        source = file.read_text(encoding="utf-8")
        assert f'\nrevision = "{number}"' in source
        assert f"\ndown_revision: str | None = {before!r}".replace("'", '"') in source
