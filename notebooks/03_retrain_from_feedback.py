# %% [markdown]
# # Does the model learn from feedback?
# Reviewers correct the model's errors in some documents. Is a model trained on their corrections better, there and elsewhere?

# %% [markdown]
# The parameters: environment variables may set other labelled sentences, another artifact or configuration, and how many sentences to read.

# %%
import os
import sys
from pathlib import Path

sys.path[:0] = [".", ".."]  # whether this runs in the repository's root or in notebooks/

from service.config import settings as config
from service.config.settings import ROOT

CONFIG = Path(os.environ.get("CONFIG", ROOT / "ml/configs/retrain.toml"))
REPLAY = Path(os.environ.get("REPLAY", ROOT / "ml/data/authored-e.jsonl"))
DATA = Path(os.environ.get("DATA", ROOT / "ml/data/golden.jsonl"))
MODEL = ROOT / config.load().model_dir
SAMPLE = int(os.environ.get("SAMPLE", "400"))

# %% [markdown]
# The imports: the product's own code, and a plotting library; the notebook needs no progress widget.

# %%
# %matplotlib inline
import hashlib
import json
import tempfile
import warnings
from dataclasses import replace

import numpy as np
from IPython.display import Markdown
from matplotlib.figure import Figure

warnings.filterwarnings("ignore", message="IProgress not found")
from ml.artifact.rounding import rounding_loss
from ml.evaluation.paired_comparison import paired_bootstrap, table
from ml.corpus.dataset import read_examples, read_feedback, targets
from ml.evaluation.scoring import analyze_examples
from ml.settings import load
from ml.steps import calibrate, dataset, export, train
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.operating_points import risk_scores

# %% [markdown]
# The documents are split into three parts: one is corrected by reviewers, one calibrates, one measures.

# %%
taxonomy = artifacts.load(MODEL).taxonomy
examples = read_examples(DATA, taxonomy)[:SAMPLE]
part = {doc: k % 3 for k, doc in enumerate(dict.fromkeys(e.doc for e in examples))}
reviewed, dev, untouched = ([e for e in examples if part[e.doc] == k] for k in range(3))
[len(some) for some in (reviewed, dev, untouched)]

# %% [markdown]
# The serving model scores the reviewed documents, and those to measure on.

# %%
serving = LocalAnalyzer.open(MODEL, device="cpu", n_threads=1)
before, before_elsewhere = analyze_examples(serving, reviewed), analyze_examples(serving, untouched)
serving.close()
y = targets(reviewed, taxonomy)
wrong = np.flatnonzero((before.hits["balanced"] != (y > 0)).any(axis=1))
f"{len(wrong)} of {len(reviewed)} sentences are to be corrected"

# %% [markdown]
# The feedback has the format of `python -m service feedback export`: one line per sentence, with its types after review.

# %%
folder = tempfile.TemporaryDirectory()
feedback = Path(folder.name) / "feedback.jsonl"
lines = [
    {
        "text": e.text,
        "labels": list(e.labels),
        "doc": hashlib.sha256(e.doc.encode()).hexdigest(),
        "license": "feedback",
        "status": "adjudicated" if row in wrong else "single",
        "user": hashlib.sha256(b"reviewer").hexdigest()[:16],
        "provenance": {"model_name": serving.model_name, "model_version": serving.model_version},
    }
    for row, e in enumerate(reviewed)
]
feedback.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="ascii")

# %% [markdown]
# Only settled verdicts train: those of a single user are left out.

# %%
settings = load(CONFIG)
corrections, left_out = read_feedback(feedback, taxonomy, max_per_user=settings.data.max_feedback_per_user)
len(corrections), dict(left_out)

# %% [markdown]
# Composed sentences join the corrections in training, so that the model does not forget.

# %%
replay, calibration = Path(folder.name) / "replay.jsonl", Path(folder.name) / "dev.jsonl"
replay.write_text("".join(REPLAY.read_text(encoding="utf-8").splitlines(keepends=True)[:SAMPLE]), encoding="utf-8")
calibration.write_text(
    "".join(json.dumps({"text": e.text, "labels": e.labels, "doc": e.doc}) + "\n" for e in dev), encoding="utf-8"
)

# %% [markdown]
# The configuration of `make retrain`, with these files, the serving model as the start, and one thread.

# %%
settings = replace(
    settings,
    artifact=replace(settings.artifact, folder=f"{folder.name}/model", golden_tolerance=0.005, calibration_of=""),
    data=replace(
        settings.data,
        authored=[str(replay)],
        real=[],
        second_readings=[],
        feedback=[str(feedback)],
        dev=[str(calibration)],
    ),
    base=replace(settings.base, start=[str(MODEL)]),
    train=replace(
        settings.train, run=f"{folder.name}/run", epochs=4, decay_epochs=4, n_checkpoints=2, batch_size=16, n_threads=1
    ),
)

# %% [markdown]
# First step: check the sentences and write the dataset card.

# %%
dataset.run(settings)
Markdown((settings.run_dir / "dataset.md").read_text(encoding="utf-8"))

# %% [markdown]
# Second step: train; the last checkpoints are averaged and interpolated towards the start.

# %%
train.run(settings)

# %% [markdown]
# Third step: export, which rounds the weights to integers.

# %%
export.run(settings)

# %% [markdown]
# Fourth step: calibrate, which makes the scores probabilities and fits the operating points.

# %%
calibrate.run(settings)

# %% [markdown]
# Last step: score the same sentences with the new model, opened as the service opens it, and measure what rounding cost in points of F1.

# %%
retrained = LocalAnalyzer.open(settings.artifact_dir, device="cpu", n_threads=1)
after, after_elsewhere = analyze_examples(retrained, reviewed), analyze_examples(retrained, untouched)
rounding = rounding_loss(settings, retrained, untouched)
retrained.close()
rounding

# %% [markdown]
# Each line is a corrected sentence, with its risk score before (grey) and after: it should move right if it states a risk, and left if not.

# %%
was, now = risk_scores(before.scores)[wrong], risk_scores(after.scores)[wrong]
states = y[wrong].any(axis=1)
order = np.lexsort((was, states))
places = np.arange(len(order))
figure = Figure(figsize=(8, 1.2 + 0.12 * len(order)), layout="constrained")
axis = figure.subplots()
axis.hlines(places, was[order], now[order], color="lightgrey", zorder=1)
axis.scatter(was[order], places, color="grey", s=14, label="before")
for is_risk, colour, label in ((True, "C3", "after, states a risk"), (False, "C0", "after, states none")):
    rows = places[states[order] == is_risk]
    axis.scatter(now[order][rows], rows, color=colour, s=14, label=label)
axis.set(xlabel="score of any risk", yticks=[], ylabel="corrected sentences", xlim=(-0.02, 1.02))
axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
figure

# %% [markdown]
# How far the probabilities of each corrected sentence moved towards the reviewers' labels.

# %%
named = y[wrong] > 0
gain = (after.scores - before.scores)[wrong]
towards = np.where(named, gain, -gain).sum(axis=1)
figure = Figure(figsize=(6, 3), layout="constrained")
axis = figure.subplots()
axis.hist(towards, bins=20, color="C2")
axis.axvline(0, color="black", linewidth=1)
axis.set(xlabel="probability moved towards the reviewers' labels", ylabel="corrected sentences")
figure

# %% [markdown]
# The uncorrected documents: F1 of the retrained model minus that of the serving one, whose thresholds were fitted on more sentences.

# %%
elsewhere = paired_bootstrap(
    after_elsewhere.hits["balanced"],
    before_elsewhere.hits["balanced"],
    targets(untouched, taxonomy),
    [e.doc for e in untouched],
    taxonomy=taxonomy,
)
Markdown(table(elsewhere))

# %% [markdown]
# Remove the temporary folder. A model that is to serve comes from `make retrain` and must pass the gate of `python -m ml register`.

# %%
folder.cleanup()

# %% [markdown]
# **The answer**, in the numbers of this run:

# %%
right = (after.hits["balanced"] == (y > 0)).all(axis=1)
right_before = np.setdiff1d(np.arange(len(reviewed)), wrong)
change = elsewhere["mean_f1"]
n_docs = len({e.doc for e in untouched})
clear = not change.low <= 0 <= change.high
verdict = "too few to tell" if n_docs < 5 else "a change beyond chance" if clear else "no change beyond chance"
Markdown(
    f"Of {len(wrong)} corrected sentences {right[wrong].sum()} have exactly the reviewers' types after training, and the "
    f"probability moved towards their labels in {np.mean(towards > 0):.0%}. Of the {len(right_before)} that were right before, "
    f"{(~right[right_before]).sum()} are no longer. On {len(untouched)} sentences of {n_docs} other documents mean F1 moved by "
    f"{100 * change.value:+.1f} points (95 % interval [{100 * change.low:+.1f}, {100 * change.high:+.1f}]): {verdict}. "
    "The corrected sentences show that the loop works; only the other documents show whether it pays."
)
