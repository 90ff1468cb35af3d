"""Signing keys for development, created on the first start beside the SQLite database.

Imports only config. Production never gets here: `settings.load` fails without the keys.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from service.config.settings import Config
from service.errors import ConfigError


def with_development_keys(config: Config) -> Config:
    """Return `config` with every missing signing key filled from DATA_DIR/secret_keys.json.

    The file is created once, readable by its owner only; processes that start together share it.

    Raises:
        ConfigError: the file cannot be read or written, or does not contain the keys.
    """
    if config.secret_key and config.jwt_secret:
        return config
    path = config.data_dir / "secret_keys.json"
    try:
        _create_once(path)
        keys = json.loads(path.read_text(encoding="utf-8"))
        return config.model_copy(
            update={
                "secret_key": config.secret_key or str(keys["secret_key"]),
                "jwt_secret": config.jwt_secret or str(keys["jwt_secret"]),
            }
        )
    except OSError as error:
        raise ConfigError(
            f"The signing keys in {path} cannot be read or created ({error.strerror}). Set DATA_DIR to a "
            "folder that this user may write, or set SECRET_KEY and JWT_SECRET."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"The signing keys in {path} cannot be used ({type(error).__name__}). Delete the file, so that "
            "the next start creates new ones, or set SECRET_KEY and JWT_SECRET."
        ) from error


def _create_once(path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({key: secrets.token_hex(32) for key in ("secret_key", "jwt_secret")}, file)
    try:
        os.link(draft, path)  # unlike rename, link never replaces the file of another process
    except FileExistsError:
        pass
    finally:
        draft.unlink()
