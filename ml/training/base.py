"""The pretrained encoder: a folder that transformers opens, each file of it pinned by its hash.

transformers sees the pinned files alone, so it reads no other and executes no code of the folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedConfig, PreTrainedModel

from ml.commands import command
from ml.settings import BaseSettings
from ml.training.sentence_form import read_in_form
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.inference.network import Network, network_config, without_pooler
from service.nlp.inference.network_config import NetworkConfig

_PACKAGE = "package:"
_CONFIG_FILE = "config.json"
_LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
_RARE_LOGIT = -3.0
"""The fresh head's bias: about 5 % of sentences have a given type."""


@dataclass(frozen=True, slots=True, eq=False)
class BaseTokenizer:
    """The encoder's tokenizer, without truncation and padding, and the id of its mask token if it has one."""

    tokenizer: Tokenizer
    mask_id: int | None


def base_config(settings: BaseSettings, *, n_labels: int, dropout: float) -> NetworkConfig:
    """Return the description of a network around the base, from its config.json.

    Raises:
        ConfigError: as `base_folder`, or transformers cannot read it.
    """
    with _pinned_files(settings) as folder:
        theirs = _config(settings, folder)
    return network_config(theirs, n_labels=n_labels, pooling=settings.pooling, dropout=dropout)


def base_network(settings: BaseSettings, *, n_labels: int, dropout: float) -> Network:
    """Return a network with the base's weights and a fresh head, on the CPU, float32.

    Raises:
        ConfigError: as `base_folder`, or transformers cannot open it, or it lacks weights.
    """
    with _pinned_files(settings) as folder:
        encoder = _encoder(settings, folder)
    config = network_config(
        encoder.config, n_labels=n_labels, pooling=settings.pooling, dropout=dropout
    )
    network = Network(config)
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    head = network.head
    state["head.weight"] = head.weight.new_zeros(head.weight.shape)
    state["head.bias"] = head.bias.new_full(head.bias.shape, _RARE_LOGIT)
    network.load_renamed(state)
    return network


def base_tokenizer(settings: BaseSettings) -> BaseTokenizer:
    """Return the base's tokenizer, which reads sentences in the form that `settings` names.

    Raises:
        ConfigError: as `base_folder`, or transformers cannot open it, or it has more tokens than the model.
    """
    with _pinned_files(settings) as folder:
        size = _config(settings, folder).vocab_size
        try:
            theirs = AutoTokenizer.from_pretrained(folder, **_LOCAL)
            tokenizer = Tokenizer.from_str(theirs.backend_tokenizer.to_str())
        except (OSError, ValueError, AttributeError, ImportError) as error:
            raise _unreadable(settings, "tokenizer", error) from error
    if len(theirs) > size:
        raise ConfigError(
            f"The tokenizer of [base] model = {settings.model!r} has {len(theirs):,} tokens and its model "
            f"{size:,}: they do not belong together. Name the folder of another encoder."
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    read_in_form(tokenizer, settings.sentence_form)
    return BaseTokenizer(tokenizer, theirs.mask_token_id)


def base_folder(settings: BaseSettings) -> Path:
    """Return the base's folder, the hash of each pinned file verified; imports nothing of a package.

    Raises:
        ConfigError: there is no such folder or package, a pinned file is missing or has another hash, or the
            pinned files are not an encoder.
    """
    folder = _folder(settings.model)
    if _CONFIG_FILE not in settings.sha256:
        raise ConfigError(f"[base.sha256] lacks {_CONFIG_FILE}; run `sha256sum` in {folder}.")
    if not any(name.endswith(".safetensors") for name in settings.sha256):
        raise ConfigError(
            f"[base.sha256] lacks the weights: run `sha256sum *.safetensors` in {folder}. Weights in any "
            "other format can execute code, and are not read."
        )
    for name, sha256 in settings.sha256.items():
        _verify(folder / name, sha256)
    return folder


def _folder(model: str) -> Path:
    if not model.startswith(_PACKAGE):
        folder = ROOT / model
        if not folder.is_dir():
            raise ConfigError(
                f"There is no folder {folder}: put the encoder of [base] there, or correct `model`."
            )
        return folder
    name = model.removeprefix(_PACKAGE)
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"The package {name} is not installed: "
            f"{command('pip', 'install', '--no-deps', '-r', 'requirements-encoder.txt')}."
        )
    package = Path(next(iter(spec.submodule_search_locations)))
    folders = [f for f in (package, *package.iterdir()) if (f / _CONFIG_FILE).is_file()]
    if len(folders) != 1:
        raise ConfigError(
            f"The package {name} has {len(folders)} folders with a {_CONFIG_FILE} instead of one; name "
            f"the folder of the encoder by its path in {package}."
        )
    return folders[0]


def _verify(path: Path, sha256: str) -> None:
    digest = "no file"
    if path.is_file():
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        raise ConfigError(
            f"{path} is not the file that [base.sha256] pins: {digest} instead of {sha256}. Restore the "
            "file; if you trust this one, pin its hash."
        )


@contextmanager
def _pinned_files(settings: BaseSettings) -> Iterator[Path]:
    """Yield a folder with links to the verified files and nothing else."""
    source = base_folder(settings)
    with tempfile.TemporaryDirectory(prefix="riskscan-base-") as name:
        folder = Path(name)
        for file in settings.sha256:
            (folder / file).symlink_to((source / file).absolute())
        yield folder


def _config(settings: BaseSettings, folder: Path) -> PreTrainedConfig:
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder, **_LOCAL)
    except (OSError, ValueError) as error:
        raise _unreadable(settings, _CONFIG_FILE, error) from error
    return config


def _encoder(settings: BaseSettings, folder: Path) -> PreTrainedModel:
    config = _config(settings, folder)
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()  # what it would warn of is checked here
    try:
        encoder, loaded = AutoModel.from_pretrained(
            folder,
            **_LOCAL,
            **without_pooler(config),
            use_safetensors=True,
            dtype="float32",
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(settings, "weights", error) from error
    if loaded["missing_keys"]:
        missing = ", ".join(sorted(loaded["missing_keys"]))
        raise ConfigError(
            f"The weights of [base] model = {settings.model!r} do not fit its {_CONFIG_FILE}, they lack "
            f"{missing}. Name the folder of a complete encoder."
        )
    return encoder


def _unreadable(settings: BaseSettings, part: str, error: Exception) -> ConfigError:
    first_line = str(error).strip().partition("\n")[0]
    return ConfigError(
        f"transformers {transformers.__version__} cannot open the {part} of [base] model = "
        f"{settings.model!r}: {first_line} Name an encoder that AutoModel and AutoTokenizer open, and pin "
        "each file that they need under [base.sha256]."
    )
