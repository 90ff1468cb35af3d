"""The rules of the house, held over the source itself."""

import ast
import re
from pathlib import Path

import pytest

from service import config, errors, problem_document

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Lower floors know nothing of upper ones. A module not named here stands with its package.
FLOORS = [
    {
        "service.body_buffer",
        "service.buffer_memory",
        "service.combining",
        "service.database_address",
        "service.email_addresses",
        "service.env_file",
        "service.errors",
        "service.file_names",
        "service.memory",
        "service.operator_name",
        "service.request_id",
        "service.setting_values",
        "service.shipped_model",
    },
    {
        "service.config",
        "service.descriptors",
        "service.response_headers",
        "service.docs_page",
        "db",
    },
    {"service.limits", "service.logs", "service.nlp", "service.passwords", "service.secret_keys"},
    {"service.problem_document", "service.json_bounds", "service.framing"},
    {
        "service.channels",
        "service.gate",
        "service.request_parser",
        "service.tokens",
        "service.quotas",
        "service.scanner",
        "service.store",
        "service.settling",
        "service.child_process",
    },
    {
        "service.admission",
        "service.audit",
        "service.ops_process",
        "service.readiness",
        "service.shedding_process",
    },
    {
        "service.accounts",
        "service.feedback",
        "service.orphans",
        "service.scans",
        "service.user_admin",
    },
    {"service.shadow"},
    {"service.drift", "service.metrics"},
    {"service.rollout"},
    {"service.models"},
    {"service.feedback_export"},
    {
        "service.context",
        "service.coverage_schemas",
        "service.review_schemas",
        "service.schemas",
        "service.taxonomy_schemas",
    },
    {"service.account_schemas", "service.deployment_schemas"},
    {"service.problems", "service.auth", "service.paging", "service.bodies"},
    {"service.openapi", "service.api"},
    {"service.app", "service.ops", "service.shedding"},
    {"service.serving"},
    {"service.start"},
    {"service.cli_db", "service.cli_models", "service.cli_users"},
    {"service.cli"},
    {"service.__main__"},
]
SOURCES = sorted(p for top in ("service", "db", "ml") for p in (ROOT / top).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively, which hides what it imports"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in {"service", "db", "ml"}}


def floor_of(module: str) -> int:
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        for floor, names in enumerate(FLOORS):
            if ".".join(parts[:length]) in names:
                return floor
    raise AssertionError(f"{module} has no floor; give it one in FLOORS")


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.parts[len(ROOT.parts)] == "service"], ids=module_of
)
def test_service_module_imports_only_its_own_floor_and_below(path):
    module = module_of(path)
    if module == "service":
        return
    for name in imports_of(path) - {"service.__version__"}:
        assert not name.startswith("ml"), f"{module} imports {name}"
        assert floor_of(name) <= floor_of(module), f"{module} imports {name}, which is above it"


@pytest.mark.parametrize("path", sorted((ROOT / "service/nlp").rglob("*.py")), ids=module_of)
def test_nlp_knows_no_metrics_library(path):
    assert "prometheus" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / "service/api").glob("*.py")), ids=module_of)
def test_api_files_never_import_each_other(path):
    assert not [name for name in imports_of(path) if name.startswith("service.api")]


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.parts[len(ROOT.parts)] == "db"], ids=module_of
)
def test_db_imports_nothing_of_ours(path):
    assert not [name for name in imports_of(path) if not name.startswith("db")]


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.parts[len(ROOT.parts)] == "ml"], ids=module_of
)
def test_ml_imports_only_nlp_config_and_errors(path):
    allowed = ("ml", "service.nlp", "service.config", "service.errors", "service.shipped_model")
    if path.name == "serving.py":  # the database alone knows what serves
        allowed += ("service.start.activated_model",)
    assert not [name for name in imports_of(path) if not name.startswith(allowed)]


@pytest.mark.parametrize("setting", config.SETTINGS, ids=lambda s: s.name)
def test_setting_is_documented_with_its_default(setting):
    row = re.search(rf"^\| `{setting.name}` \| (.*?) \| (.+) \|$", README, re.MULTILINE)
    assert row, f"README.md has no row for {setting.name}"
    assert row[1] == (f"`{setting.default}`" if setting.default else "")
    assert row[2] == setting.help


def test_settings_and_config_fields_are_the_same_in_the_same_order():
    assert [s.attribute for s in config.SETTINGS] == list(config.Config.__dataclass_fields__)


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
