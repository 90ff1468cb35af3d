"""The rules of the house, held over the source itself."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SOURCES = sorted(p for top in ("service", "db", "ml") for p in (ROOT / top).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


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
