"""The peers: how to start each, encode its requests and decode its answers, and its settings for a CPU.

Each peer runs with all of its settings first; the fastest for each kind of load is compared with ours.
Either one worker has a thread for each core, or each core has a worker with one thread. torch computes in
float32, and in bfloat16 if the processor supports it natively: without that it took two to four times as
long.
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
_THRESHOLD = 0.5
_QUIET = {
    "DO_NOT_TRACK": "1",  # infinity-emb sends usage statistics otherwise
    "BENTOML_DO_NOT_TRACK": "True",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True, slots=True)
class Peer:
    """A server of the same classifier; `has_int8` if it serves our own int8 file.

    `encode` makes the JSON of a request from texts, `decode` turns an answer into scores by risk type.
    """

    name: str
    environment: str
    command: Sequence[str]
    settings: Sequence[Settings]
    path: str
    health: str
    encode: Callable[[Sequence[str]], Any]
    decode: Callable[[Any], list[Mapping[str, float]]]
    has_int8: bool = False
    threshold: float = _THRESHOLD

    def server(self, settings, options):
        """Start the peer with one of its settings."""
        folder = options.out / "peers"
        folder.mkdir(parents=True, exist_ok=True)
        bin_folder = options.interpreter(self.environment).parent
        command = [part.format(bin=bin_folder, port="{port}", **settings) for part in self.command]
        # A cache for each model: optimum stores optimised models under a name that all share.
        cache = options.out / "classifier" / "cache" / Path(settings["MODEL"]).name
        own = {"HF_HOME": cache, "BENTOML_HOME": folder / "bentoml", "PORT": "{port}"}
        environ = {**_QUIET, **own, **settings}
        log = folder / f"{self.environment.rpartition('/')[2]}.log"
        return Server(self.name, command, health=self.health, log=log, environ=environ)

    def request(self, texts) -> Request:
        """Return the request that classifies all of `texts`."""
        return json_request(self.path, self.encode(texts))

    def labels(self, answer) -> list[set[str]]:
        """Return the risk types that an answer states for each text."""
        rows = self.decode(json.loads(answer))
        return [{label for label, p in row.items() if p >= self.threshold} for row in rows]


def peers(folders, manifest):
    """Return every peer; `folders` are those of convert.py, `manifest` the artifact's."""
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
    all_settings = [
        {**s, "FAST_QUEUE": fast, "REQUESTS": "32", "BATCH_TIMEOUT_S": "0.005"}
        for s in settings
        for fast in ("0", "1")
    ]
    command = "{bin}/python -m tests.bench.peers.lit"
    return Peer(name, "peers/litserve", command.split(), all_settings, "/predict", "/health",
                _texts, lambda answer: answer["data"], has_int8)  # fmt: skip


def _bentoml(name, settings, *, has_int8=False):
    command = (
        "{bin}/bentoml serve tests.bench.peers.bento:TextClassifier --host 127.0.0.1 --port {port}"
    )
    all_settings = [{**s, "TEXTS": "800"} for s in settings]
    return Peer(name, "peers/bentoml", command.split(), all_settings, "/classify", "/readyz",
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
    # optimum finds the file that infinity-emb requests only in the folder "."; the warm-up text is longer
    # than the model's 512 positions, and optimum does not truncate it.
    in_onnx = {"INFINITY": "optimum", "MODEL_ID": ".", "DTYPE": "float32", "BATCH": "32"}
    in_onnx["WARM_UP"] = "--no-model-warmup"
    onnx = {**in_onnx, "MODEL": str(folders.onnx)}
    int8 = {**in_onnx, "MODEL": str(folders.int8)}
    shared = (
        "/classify",
        "/health",
        lambda texts: {"model": "riskscan", "input": list(texts)},
        _decode_infinity,
    )
    # Its int8 scores are not calibrated: this score corresponds to a calibrated one of 0.5.
    threshold = 1 / (1 + math.exp(bias))
    return (
        Peer("infinity-emb", "peers/infinity", command.split(), [*torch, onnx], *shared),
        Peer("infinity-emb, our int8 file", "peers/infinity", command.split(), [int8], *shared,
             has_int8=True, threshold=threshold),
    )  # fmt: skip


def _decode_infinity(answer):
    return [{item["label"]: item["score"] for item in row} for row in answer["data"]]
