"""The .env file: read as Compose reads it, and overridden by the environment."""

import re

import pytest

from service.config.settings import NAMES, ROOT, load
from service.errors import ConfigError


@pytest.fixture
def load_file(tmp_path, monkeypatch):
    """Load the settings of a process with this .env file and these environment variables."""

    def load_content(content, **environ):
        path = tmp_path / ".env"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        monkeypatch.setenv("RISKSCAN_ENV_FILE", str(path))
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return load()

    return load_content


@pytest.mark.parametrize(
    "line",
    [
        "LLM_MODEL=small model",
        "export LLM_MODEL=small model  # the fast one",
        "  LLM_MODEL = 'small model'   # costs $5 a \\ day",
        'LLM_MODEL="small model"\r',
        "\ufeffLLM_MODEL=small model",
        "LLM_MODEL=other\n\n# a comment\nLLM_MODEL=small model",
    ],
)
def test_line_is_read_as_compose_reads_it(load_file, line):
    assert load_file(f"{line}\n").llm_model == "small model"


def test_single_quotes_keep_dollar_and_hash(load_file):
    assert load_file("LLM_API_KEY='pa$$#1 $HOME ${HOME}'\n").llm_api_key == "pa$$#1 $HOME ${HOME}"


@pytest.mark.parametrize(
    "value", ["pa$word", '"pa$word"', "a#b", "#b", r"a\b", r'"a\nb"', r"'it\'s'", "${HOME}"]
)
def test_value_that_compose_reads_differently_is_refused(load_file, value):
    with pytest.raises(ConfigError, match="line 2: LLM_API_KEY") as caught:
        load_file(f"# keys\nLLM_API_KEY={value}\nPORT=9\n")
    assert value not in str(caught.value)


@pytest.mark.parametrize("line", ["LLM_MODEL: small", "LLM_MODEL='a' b", "PORT 8000", 'A="b'])
def test_line_that_cannot_be_parsed_is_named(load_file, line):
    with pytest.raises(ConfigError, match=r"line 3 .*NAME=value"):
        load_file(f"PORT=9\n\n{line}\n")


def test_file_that_is_not_utf8_is_refused(load_file):
    with pytest.raises(ConfigError, match="UTF-8"):
        load_file(b"LLM_MODEL=\xff\n")


def test_named_file_that_is_absent_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("RISKSCAN_ENV_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="RISKSCAN_ENV_FILE"):
        load()


def test_environment_overrides_the_file_and_the_file_the_default(load_file):
    config = load_file(
        "PORT=1111\nTHREADS=3\nCORS_ORIGINS=http://a.b\n", PORT="2222", CORS_ORIGINS=""
    )
    assert (config.port, config.threads, config.cors_origins) == (2222, 3, ())


def test_name_of_another_program_may_have_any_value(load_file):
    assert load_file("MYSQL_PASSWORD=a$b\\c\nPUBLISH\n") == load({})


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SCAN_RATELIMIT", "SCAN_RATE_LIMIT"),
        ("jwt_secret", "JWT_SECRET"),
        ("LLM_API_KEYS", "LLM_API_KEY"),
        ("SECRETKEY_FILE", "SECRET_KEY_FILE"),
        ("OPS_PUBLISHED", "OPS_PUBLISH"),
    ],
)
def test_misspelled_name_is_refused_with_the_nearest(load_file, name, nearest):
    with pytest.raises(ConfigError, match=f"line 2: .*{name}; did you mean {nearest}"):
        load_file(f"PORT=9\n{name}=1\n")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "TZ", "COMPOSE_FILE", "LLM_TEST_BASE_URL"])
def test_names_of_other_programs_are_ignored(load_file, name):
    assert load_file(f"{name}=1\n") == load({})


def test_makefile_does_not_read_the_file():
    recipes = [line for line in (ROOT / "Makefile").read_text().splitlines() if line[:1] == "\t"]
    assert not [line for line in recipes if re.search(r"(?<![\w.])\.env\b", line)]
