"""Settings: all faults are reported at once, and secrets never appear in text."""

import pytest
from pydantic import ValidationError

from service.config.settings import load
from service.errors import ConfigError


@pytest.mark.parametrize(
    "origins",
    ["*", "http://*.corp.local", "http://a.b/path", "http://a@b", "http://a?b", "ftp://a", "a.b"],
)
def test_cors_origin_that_is_malformed_is_refused(origins):
    with pytest.raises(ConfigError, match="CORS_ORIGINS"):
        load({"CORS_ORIGINS": origins})


def test_cors_origins_may_be_none_or_many():
    assert load({"CORS_ORIGINS": ""}).cors_origins == ()
    many = "https://a.corp.local, http://[::1]:8080"
    assert load({"CORS_ORIGINS": many}).cors_origins == (
        "https://a.corp.local",
        "http://[::1]:8080",
    )


def test_wrong_settings_are_all_named():
    wrong = {"PORT": "70000", "DEVICE": "tpu", "AI_SERVICE_OPEN": "maybe", "JWT_SECRET": "short"}
    with pytest.raises(ConfigError) as caught:
        load(wrong)
    assert {fault.field for fault in caught.value.faults} == set(wrong)
    assert "PORT must be less than or equal to 65535." in str(caught.value)


def test_production_names_all_missing_secrets_beside_other_faults():
    with pytest.raises(ConfigError) as caught:
        load({"RISKSCAN_ENV": "production", "PORT": "http", "LLM_BASE_URL": "http://llm/v1"})
    missing = {"SECRET_KEY", "JWT_SECRET", "DATABASE_URL", "LLM_MODEL"}
    assert {fault.field for fault in caught.value.faults} == {"PORT", *missing}


def test_settings_cannot_change():
    with pytest.raises(ValidationError, match="frozen"):
        load({}).port = 1


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_device_may_name_one_of_several_gpus(device):
    assert load({"DEVICE": device}).device == device


@pytest.mark.parametrize("device", ["cuda:", "cuda:a", "cuda:-1", "cpu:0", "gpu", "CUDA"])
def test_device_that_is_unknown_is_refused(device):
    with pytest.raises(ConfigError, match=r"DEVICE must be one of auto, cpu, cuda"):
        load({"DEVICE": device})


def test_empty_setting_is_the_default():
    assert load({"PORT": "", "MODEL_DIR": ""}) == load({})


@pytest.mark.parametrize("name", ["LLM_BASE_URL", "AI_SERVICE_URL"])
def test_address_with_credentials_is_refused(name):
    with pytest.raises(ConfigError, match=name) as caught:
        load({name: "http://bob:hunter2@llm/v1"})
    assert "hunter2" not in str(caught.value)


def test_secrets_do_not_show_in_the_representation():
    secret = "s" * 32
    names = ("SECRET_KEY", "JWT_SECRET", "LLM_API_KEY", "AI_SERVICE_TOKEN")
    url = {"DATABASE_URL": f"mysql+pymysql://u:{secret}@h/d"}
    config = load(dict.fromkeys(names, secret) | url)
    assert secret not in repr(config)
    assert secret not in str(config)
    assert "jwt_secret='***'" in repr(config)


@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "JWT_SECRET", "LLM_API_KEY", "AI_SERVICE_TOKEN", "DATABASE_URL"]
)
def test_secret_may_come_from_a_file(tmp_path, name):
    secret = "sqlite:////tmp/a-path-of-at-least-32-characters.db"
    (tmp_path / "secret").write_text(f"{secret}\n")
    config = load({f"{name}_FILE": str(tmp_path / "secret")})
    assert getattr(config, name.lower()) == secret


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_secret_file_without_a_secret_is_refused(tmp_path, content):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"JWT_SECRET cannot be read from {path}"):
        load({"JWT_SECRET_FILE": str(path)})


def test_secret_set_twice_is_refused():
    with pytest.raises(ConfigError, match="JWT_SECRET and JWT_SECRET_FILE are both set"):
        load({"JWT_SECRET_FILE": "/dev/null", "JWT_SECRET": "s" * 32})


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("mysql://u:p%40@h/d", "mysql+pymysql://u:p%40@h/d"),
        ("mariadb://u@h:3307/d?charset=utf8mb4", "mysql+pymysql://u@h:3307/d?charset=utf8mb4"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgres://u@h/d?sslmode=require", "postgresql+psycopg://u@h/d?sslmode=require"),
        ("mysql+pymysql://u@h/d", "mysql+pymysql://u@h/d"),
        ("sqlite:////tmp/r.db?timeout=3", "sqlite:////tmp/r.db?timeout=3"),
    ],
)
def test_database_address_gets_the_installed_driver(address, expected):
    assert load({"DATABASE_URL": address}).database_url == expected


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("mysql://u:hunter2@h/d?nosuchoption=1", "nosuchoption"),
        ("mysql://u:hunter2@h/d?charset=klingon", "charset"),
        ("mysql://u:hunter2@h/d?read_timeout=soon", "value"),
        ("mysql://u:hunter2@h/d?charset=utf8&charset=utf8", "charset"),
        ("postgresql://u:hunter2@h/d?charset=utf8", "charset"),
        ("sqlite:///r.db?password=hunter2", "password"),
        ("sqlite:///r.db?timeout=hunter2", "value"),
        ("mysql+mysqldb://u:hunter2@h/d", "must start with"),
        ("mysql://u:hunter2@h:port/d", "read like"),
        ("mysql://u:hunter2@h", "read like"),
    ],
)
def test_database_address_that_its_driver_refuses_is_named(address, fault):
    with pytest.raises(ConfigError, match=f"DATABASE_URL .*{fault}") as caught:
        load({"DATABASE_URL": address})
    assert "hunter2" not in str(caught.value)


def test_algorithm_of_access_tokens_is_pinned():
    with pytest.raises(ConfigError, match="JWT_ALGORITHM"):
        load({"JWT_ALGORITHM": "none"})


@pytest.mark.parametrize(
    "address", ["*", "proxy", "localhost", "10.0.0.1/8", "127.0.0.1:80", "::/0"]
)
def test_trusted_proxy_that_is_no_address_is_refused(address):
    with pytest.raises(ConfigError, match="TRUSTED_PROXY"):
        load({"TRUSTED_PROXY": address})


def test_trusted_proxy_is_read_in_its_usual_spelling():
    proxies = load({"TRUSTED_PROXY": "0:0::1, 10.1.0.0/16"}).trusted_proxy
    assert [str(network) for network in proxies] == ["::1/128", "10.1.0.0/16"]


def test_each_process_has_32_threads_unless_set():
    assert load({}).threads == 32
    assert load({"WEB_PROCESSES": "4"}).threads == 128
    assert load({"WEB_PROCESSES": "4", "THREADS": "8"}).threads == 8


def test_database_pool_follows_the_threads_up_to_16_of_each_process():
    assert load({"THREADS": "4", "BATCH_WORKERS": "0"}).database_pool_size == 8
    assert load({"BATCH_WORKERS": "0"}).database_pool_size == 20
    assert load({}).database_pool_size == 22
    assert load({"WEB_PROCESSES": "2", "BATCH_WORKERS": "0"}).database_pool_size == 40
    assert load({"DATABASE_POOL_SIZE": "40"}).database_pool_size == 40


def test_database_pool_without_a_connection_for_requests_is_refused_with_a_remedy():
    assert load({"DATABASE_POOL_SIZE": "7"}).database_pool_size == 7
    with pytest.raises(ConfigError, match=r"DATABASE_POOL_SIZE \(6\) .* Set it to 7 or more"):
        load({"DATABASE_POOL_SIZE": "6"})


@pytest.mark.parametrize("url", ["memory://", "redis://h", "redis://:p@h:6379/0", "rediss://h/1"])
def test_rate_limits_are_counted_in_memory_or_redis(url):
    assert load({"RATE_LIMIT_STORAGE_URL": url}).rate_limit_storage_url == url


@pytest.mark.parametrize("url", ["memory", "h:6379", "mysql://u:hunter2@h", "redis://"])
def test_other_storage_of_rate_limits_is_refused(url):
    with pytest.raises(ConfigError, match="RATE_LIMIT_STORAGE_URL must be memory") as caught:
        load({"RATE_LIMIT_STORAGE_URL": url})
    assert "hunter2" not in str(caught.value)
