"""The peers, how each is started, asked and read, and the settings worth trying on a CPU.

Each is tried in all of its settings first; the best at each kind of load is compared with ours. One worker
gets a thread for each core, or each core a worker with one thread; torch computes in float32, or bfloat16
where the processor multiplies it: elsewhere that takes two to four times as long, and never was the best.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.nlp.cpu_quota import cpu_quota
from tests.bench.load import Request, json_request
from tests.bench.servers import Server

Settings = Mapping[str, str]
_MENTIONED = 0.5
_QUIET = {
    "DO_NOT_TRACK": "1",  # infinity-emb sends usage statistics otherwise
    "BENTOML_DO_NOT_TRACK": "True",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True, slots=True)
class Peer:
    """A server of the same classifier; `has_int8` where it serves our own int8 file."""

    name: str
    environment: str
    command: Sequence[str]
    settings: Sequence[Settings]
    path: str
    health: str
    asked: Callable[[Sequence[str]], Any]
    answered: Callable[[Any], list[Mapping[str, float]]]
    has_int8: bool = False
    mentioned: float = _MENTIONED

    def server(self, settings, options):
        """Start it with one of its settings."""
        folder = options.out / "peers"
        folder.mkdir(parents=True, exist_ok=True)
        bin_folder = options.python_of(self.environment).parent
        command = [part.format(bin=bin_folder, port="{port}", **settings) for part in self.command]
        # A cache for each model: optimum keeps what it optimised under a name that all models share.
        cache = options.out / "classifier" / "cache" / Path(settings["MODEL"]).name
        own = {"HF_HOME": cache, "BENTOML_HOME": folder / "bentoml", "PORT": "{port}"}
        environ = {**_QUIET, **own, **settings}
        log = folder / f"{self.environment.rpartition('/')[2]}.log"
        return Server(self.name, command, health=self.health, log=log, environ=environ)

    def request(self, texts) -> Request:
        """Return a request that has all of `texts` classified."""
        return json_request(self.path, self.asked(texts))

    def labels(self, answer) -> list[set[str]]:
        """Return the risk types that an answer states for each text."""
        rows = self.answered(json.loads(answer))
        return [{label for label, p in row.items() if p >= self.mentioned} for row in rows]


def peers(folders, manifest):
    """Return every peer, with `folders` of convert.py and the manifest of the artifact."""
    cores = cpu_quota()
    shares = [{"WORKERS": "1", "THREADS": str(cores)}]
    if cores > 1:
        shares.append({"WORKERS": str(cores), "THREADS": "1"})
    torch = {"ENGINE": "torch", "MODEL": str(folders.transformers), "BATCH": "32"}
    int8 = {"ENGINE": "int8", "MODEL": str(folders.artifact), "BATCH": "32"}
    on_torch = [{**torch, **share, "DTYPE": d} for share in shares for d in _dtypes()]
    on_int8 = [{**int8, **share} for share in shares]
    return [
        _plain([{**s, "BATCH": batch} for s in on_torch for batch in ("1", "8", "32")]),
        _litserve("LitServe", on_torch),
        _litserve("LitServe, our int8 file", on_int8, has_int8=True),
        _bentoml("BentoML", on_torch),
        _bentoml("BentoML, our int8 file", on_int8, has_int8=True),
        *_infinity(folders, manifest.bias),
    ]


def _dtypes():
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return ("float32", "bfloat16") if flags & {"avx512_bf16", "amx_bf16"} else ("float32",)


def _texts(texts):
    return {"texts": list(texts)}


def _plain(settings):
    command = (
        "{bin}/gunicorn --bind 127.0.0.1:{port} --workers {WORKERS} --worker-class gthread --threads 32 "
        "--timeout 0 --log-level warning tests.bench.peers.plain:create_app()"
    )
    return Peer("Flask and pipeline", "peers/plain", command.split(), settings, "/predict", "/health",
                _texts, lambda rows: rows)  # fmt: skip


def _litserve(name, settings, *, has_int8=False):
    tried = [
        {**s, "FAST_QUEUE": fast, "REQUESTS": "32", "BATCH_TIMEOUT_S": "0.005"}
        for s in settings
        for fast in ("0", "1")
    ]
    command = "{bin}/python -m tests.bench.peers.lit"
    return Peer(name, "peers/litserve", command.split(), tried, "/predict", "/health",
                _texts, lambda answer: answer["data"], has_int8)  # fmt: skip


def _bentoml(name, settings, *, has_int8=False):
    command = (
        "{bin}/bentoml serve tests.bench.peers.bento:TextClassifier --host 127.0.0.1 --port {port}"
    )
    tried = [{**s, "TEXTS": "800"} for s in settings]
    return Peer(name, "peers/bentoml", command.split(), tried, "/classify", "/readyz",
                _texts, lambda rows: rows, has_int8)  # fmt: skip


def _infinity(folders, bias):
    command = (
        "env --chdir={MODEL} {bin}/infinity_emb v2 --model-id {MODEL_ID} --served-model-name riskscan "
        "--engine {INFINITY} --dtype {DTYPE} --batch-size {BATCH} {WARM_UP} --trust-remote-code "
        "--no-bettertransformer --device cpu --host 127.0.0.1 --port {port} --log-level warning"
    )
    model = str(folders.transformers)
    in_torch = {"INFINITY": "torch", "MODEL": model, "MODEL_ID": model, "BATCH": "32"}
    in_torch["WARM_UP"] = "--model-warmup"
    torch = [{**in_torch, "DTYPE": dtype} for dtype in _dtypes()]
    # By any other name of the folder, optimum does not find the file that infinity-emb asks it for; and it
    # warms up with a text beyond the model's 512 positions, which optimum does not cut.
    in_onnx = {"INFINITY": "optimum", "MODEL_ID": ".", "DTYPE": "float32", "BATCH": "32"}
    in_onnx["WARM_UP"] = "--no-model-warmup"
    onnx = {**in_onnx, "MODEL": str(folders.onnx)}
    int8 = {**in_onnx, "MODEL": str(folders.int8)}
    shared = (
        "/classify",
        "/health",
        lambda texts: {"model": "riskscan", "input": list(texts)},
        _classified,
    )
    # Its int8 scores are not calibrated: this is where the calibrated ones would be a half.
    mentioned = 1 / (1 + math.exp(bias))
    return (
        Peer("infinity-emb", "peers/infinity", command.split(), [*torch, onnx], *shared),
        Peer("infinity-emb, our int8 file", "peers/infinity", command.split(), [int8], *shared,
             has_int8=True, mentioned=mentioned),
    )  # fmt: skip


def _classified(answer):
    return [{found["label"]: found["score"] for found in row} for row in answer["data"]]
