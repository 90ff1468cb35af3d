"""`python -m tests.bench.gpu`: the analyzer on CUDA, a transformers pipeline in bfloat16, and the floor.

The floor is the time that the multiplications of the model take at the rate measured here for its matrices,
in bfloat16, without padding and with nothing else to do. `--device cpu` tries the code out without a GPU.
"""

import time
from itertools import islice

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging, pipeline

from service.config import settings
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.encoder import EncoderConfig
from service.nlp.inference.tokenization import Windower
from tests.bench.options import options_of, parser
from tests.bench.peers.convert import convert
from tests.bench.plots import bars
from tests.bench.results import Result, Target, median, shown
from tests.bench.sentences import endless

_N_SENTENCES = 20_000
_BATCHES = (32, 128, 512, 2_048)
_ROWS = 32_768  # tokens that are multiplied at once to find the rate
_TIMES = 20
_OURS, _FLOOR = "Riskscan's analyzer", "floor: the multiplications alone"


def main(arguments=None):
    """Measure and publish."""
    reader = parser("Measure the analyzer on a GPU.")
    reader.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    given = reader.parse_args(arguments)
    options = options_of(given)
    model_dir = settings.load().model_dir
    pipe = _pipeline(convert(options.out / "classifier").transformers, given.device)
    analyzer = LocalAnalyzer.open(model_dir, device=given.device)
    stream, n = endless(), options.size(_N_SENTENCES)
    try:
        rounds = [
            _round(analyzer, pipe, list(islice(stream, n)), given.device)
            for _ in range(options.rounds)
        ]
    finally:
        analyzer.close()
    _result(rounds, given.device).publish(options)


def _pipeline(folder, device):
    logging.set_verbosity(
        logging.CRITICAL
    )  # it lists every class that it knows, since ours is none of them
    logging.disable_progress_bar()
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=True, dtype=torch.bfloat16
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return pipeline(
        "text-classification", model=model, tokenizer=tokenizer, device=device, top_k=None
    )


def _round(analyzer, pipe, sentences, device):
    analyzer.score(sentences[:256])
    found = {_OURS: len(sentences) / _timed(lambda: analyzer.score(sentences))}
    for size in _BATCHES:
        pipe(sentences[:size], batch_size=size)
        took_s = _timed(lambda size=size: pipe(sentences, batch_size=size))
        found[f"pipeline, batches of {size:,}"] = len(sentences) / took_s
    found[_FLOOR] = len(sentences) / _floor_s(sentences, device)
    return found


def _timed(work):
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _floor_s(sentences, device):
    """Return the seconds that the model's multiplications take for `sentences`, at this device's rate."""
    artifact = artifacts.load(settings.load().model_dir)
    windower = Windower(artifact.tokenizer(), artifact.manifest.max_length_tokens)
    lengths = [len(ids) for parts in windower.windows(sentences) for ids in parts]
    sizes = EncoderConfig(n_labels=len(artifact.manifest.labels))
    hidden, inner = sizes.hidden_size, sizes.intermediate_size
    shapes = [(hidden, 3 * hidden), (hidden, hidden), (hidden, inner), (inner, hidden)]
    s_per_operation = sum(_matrix_s(*s, device) for s in shapes) / sum(
        2 * _ROWS * a * b for a, b in shapes
    )
    layers = sum(2 * a * b for a, b in shapes) * sum(lengths)
    attention = 4 * hidden * sum(t * t for t in lengths)  # scores, and their use
    return sizes.n_layers * (layers + attention) * s_per_operation


def _matrix_s(n_in, n_out, device):
    """Return the seconds of one multiplication of _ROWS tokens in bfloat16."""
    left = torch.randn(_ROWS, n_in, device=device, dtype=torch.bfloat16)
    right = torch.randn(n_in, n_out, device=device, dtype=torch.bfloat16)

    def work(times):
        for _ in range(times):
            left @ right
        if device == "cuda":
            torch.cuda.synchronize()

    work(3)
    return _timed(lambda: work(_TIMES)) / _TIMES


def _result(rounds, device):
    speeds = {name: [r[name] for r in rounds] for name in rounds[0]}
    pipelines = [name for name in speeds if name.startswith("pipeline")]
    ratio = median([r[_OURS] / max(r[name] for name in pipelines) for r in rounds])
    share = median([r[_OURS] / r[_FLOOR] for r in rounds])
    name = torch.cuda.get_device_name() if device == "cuda" else "a CPU, to try the code out"
    return Result(
        name="gpu",
        title=f"The analyzer on {name}",
        head=("what", "sentences/s"),
        rows=[(name, shown(values)) for name, values in speeds.items()],
        figures={"device": name, "rounds": rounds},
        panels=[bars({k: v for k, v in speeds.items() if k != _FLOOR}, "sentences/s")],
        targets=[Target("the analyzer over the best pipeline", ratio, 5.0)],
        notes=(f"the analyzer reaches {share:.3f} of the floor's sentences a second",),
    )


if __name__ == "__main__":
    main()
