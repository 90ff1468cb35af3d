"""`python -m tests.bench.gpu`: the analyzer on CUDA, a transformers pipeline in bfloat16, and the floor.

The floor is the time of the model's matrix multiplications alone, without padding, at the bfloat16 rate
that is measured here for matrices of its shapes. `--device cpu` tests the code without a GPU.
"""

import time
from itertools import islice

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging, pipeline

from service.config import settings
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.network_config import NetworkConfig
from service.nlp.inference.tokenization import Windower
from tests.bench.options import argument_parser, options_from
from tests.bench.peers.convert import convert
from tests.bench.plots import bars
from tests.bench.results import Result, Target, median, spread
from tests.bench.sentences import endless

_N_SENTENCES = 20_000
_BATCHES = (32, 128, 512, 2_048)
_ROWS = 32_768  # tokens multiplied at once to measure the rate
_TIMES = 20
_OURS, _FLOOR = "Riskscan's analyzer", "floor: the matrix multiplications alone"


def main(arguments=None):
    """Measure and publish."""
    parser = argument_parser("Measure the analyzer on a GPU.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parsed = parser.parse_args(arguments)
    options = options_from(parsed)
    model_dir = settings.load().model_dir
    pipe = _pipeline(convert(options.out / "classifier").transformers, parsed.device)
    analyzer = LocalAnalyzer.open(model_dir, device=parsed.device)
    stream, n = endless(), options.size(_N_SENTENCES)
    try:
        rounds = [
            _round(analyzer, pipe, list(islice(stream, n)), parsed.device)
            for _ in range(options.rounds)
        ]
    finally:
        analyzer.close()
    _result(rounds, parsed.device).publish(options)


def _pipeline(folder, device):
    # At a lower level it lists all classes that it knows, since ours is not among them.
    logging.set_verbosity(logging.CRITICAL)
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
    speeds = {_OURS: len(sentences) / _timed(lambda: analyzer.score(sentences))}
    for size in _BATCHES:
        pipe(sentences[:size], batch_size=size)
        took_s = _timed(lambda size=size: pipe(sentences, batch_size=size))
        speeds[f"pipeline, batches of {size:,}"] = len(sentences) / took_s
    speeds[_FLOOR] = len(sentences) / _floor_s(sentences, device)
    return speeds


def _timed(work):
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _floor_s(sentences, device):
    """Return the seconds that the model's multiplications take for `sentences`, at this device's rate."""
    artifact = artifacts.load(settings.load().model_dir)
    windower = Windower(artifact.tokenizer(), artifact.manifest.max_length_tokens)
    lengths = [len(ids) for parts in windower.windows(sentences) for ids in parts]
    sizes = NetworkConfig(n_labels=len(artifact.manifest.labels))
    hidden, inner = sizes.hidden_size, sizes.intermediate_size
    shapes = [(hidden, 3 * hidden), (hidden, hidden), (hidden, inner), (inner, hidden)]
    s_per_operation = sum(_matrix_s(*s, device) for s in shapes) / sum(
        2 * _ROWS * a * b for a, b in shapes
    )
    layers = sum(2 * a * b for a, b in shapes) * sum(lengths)
    attention = 4 * hidden * sum(t * t for t in lengths)  # scores, and the weighted sum of values
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
    name = torch.cuda.get_device_name() if device == "cuda" else "a CPU, to test the code"
    return Result(
        name="gpu",
        title=f"The analyzer on {name}",
        head=("what", "sentences/s"),
        rows=[(name, spread(values)) for name, values in speeds.items()],
        figures={"device": name, "rounds": rounds},
        panels=[bars({k: v for k, v in speeds.items() if k != _FLOOR}, "sentences/s")],
        targets=[Target("the analyzer over the best pipeline", ratio, 5.0)],
        notes=(f"the analyzer reaches {share:.3f} of the floor's sentences a second",),
    )


if __name__ == "__main__":
    main()
