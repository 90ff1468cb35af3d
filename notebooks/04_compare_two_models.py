# %% [markdown]
# # Which of two models is better?
# Is the difference between them more than chance, and on which sentences do they differ?

# %% [markdown]
# The parameters: A and B are each an artifact's folder, http://... of a service, or a baseline (keywords, tfidf, knn).

# %%
import os
import sys
from pathlib import Path

sys.path[:0] = [".", ".."]  # whether this runs in the repository's root or in notebooks/

from service.config import settings
from service.config.settings import ROOT

DATA = Path(os.environ.get("DATA", ROOT / "ml/data/golden.jsonl"))
CONFIG = Path(os.environ.get("CONFIG", ROOT / "ml/configs/retrain.toml"))  # training data of the baselines
A = os.environ.get("A", str(ROOT / settings.load().model_dir))
B = os.environ.get("B", "keywords")
SENSITIVITY = os.environ.get("SENSITIVITY", "balanced")
SAMPLE = int(os.environ.get("SAMPLE", "2000"))

# %% [markdown]
# The imports: the product's own code, and a plotting library.

# %%
# %matplotlib inline
import numpy as np
from IPython.display import Markdown
from matplotlib.figure import Figure

from ml.baselines.open_analyzer import open_analyzer, taxonomy_of
from ml.evaluation.paired_comparison import compare, table, verdict
from ml.corpus.dataset import read_examples, targets
from ml.evaluation.scoring import analyze_examples
from ml.evaluation.metrics import by_category, count, f1, f1_measures
from ml.evaluation.predictions import Predictions
from ml.evaluation.markdown_table import markdown_table

# %% [markdown]
# Both score the same sentences; neither may have been trained on any of them.

# %%
taxonomy = taxonomy_of(A, CONFIG)
examples = read_examples(DATA, taxonomy)[:SAMPLE]
results = []
for spec in (A, B):
    analyzer = open_analyzer(spec, config=settings.load(), train=CONFIG, unseen=examples)
    results.append(analyze_examples(analyzer, examples, sensitivities=[SENSITIVITY]))
    analyzer.close()
a, b = results

# %% [markdown]
# The stored predictions of `python -m ml evaluate`: scores and decisions beside hashes, no sentence.

# %%
y, docs, texts = targets(examples, taxonomy), [e.doc for e in examples], [e.text for e in examples]
predictions_a, predictions_b = (
    Predictions.from_texts(j.name, taxonomy=taxonomy, texts=texts, docs=docs, y=y, scores=j.scores, hits=j.hits)
    for j in results
)
hits_a, hits_b = predictions_a.hits_at(SENSITIVITY), predictions_b.hits_at(SENSITIVITY)

# %% [markdown]
# Each model's own intervals; these may overlap although the models differ significantly.

# %%
measured = {j.name: f1_measures(j.hits[SENSITIVITY], y, docs, taxonomy=taxonomy) for j in results}
Markdown(
    markdown_table(
        ["F1", *measured],
        [
            [key.replace("_f1", "").replace("_", " "),
             *(f"{m[key].value:.3f} [{m[key].low:.3f}, {m[key].high:.3f}]" for m in measured.values())]
            for key in next(iter(measured.values()))
        ],
    )
)  # fmt: skip

# %% [markdown]
# Their difference on the same resampled documents, where a document's difficulty cancels out.

# %%
differences = compare(predictions_a, predictions_b, sensitivity=SENSITIVITY)
Markdown(table(differences))

# %% [markdown]
# An interval clear of the line is a difference beyond chance: to its right a is ahead, to its left b.

# %%
values, lows, highs = (
    np.array([100 * getattr(d, key) for d in differences.values()]) for key in ("value", "low", "high")
)
places = np.arange(len(values))[::-1]
figure = Figure(figsize=(7, 2.6), layout="constrained")
axis = figure.subplots()
axis.axvline(0, color="grey", linewidth=0.8, linestyle="--")
axis.errorbar(values, places, xerr=[np.maximum(values - lows, 0), np.maximum(highs - values, 0)], fmt="o", capsize=3)
axis.set_yticks(places, [key.replace("_f1", "").replace("_", " ") for key in differences])
axis.set(xlabel=f"points of F1, {a.name} minus {b.name}", ylim=(-0.6, len(values) - 0.4))
figure

# %% [markdown]
# F1 of each category that occurs, with the number of sentences that state it.

# %%
truth = by_category(y > 0, taxonomy=taxonomy)
by_model = [f1(count(by_category(hits, taxonomy=taxonomy), truth).sum(axis=0)) for hits in (hits_a, hits_b)]
occurs = np.flatnonzero(truth.any(axis=0))
order = occurs[np.argsort(by_model[0][occurs], kind="stable")]
figure = Figure(figsize=(8, 0.8 + 0.35 * len(order)), layout="constrained")
axis = figure.subplots()
axis.hlines(range(len(order)), by_model[1][order], by_model[0][order], color="lightgrey", zorder=1)
for f1_by_category, j in zip(by_model, results):
    axis.scatter(f1_by_category[order], range(len(order)), label=j.name)
axis.set_yticks(range(len(order)), [f"{taxonomy.category_titles[taxonomy.category_keys[k]]} ({truth[:, k].sum()})" for k in order])
axis.set(xlabel="F1", xlim=(-0.02, 1.02))
axis.legend(loc="lower right")
figure

# %% [markdown]
# Risk or no risk, sentence by sentence: the choice matters only where exactly one is right.

# %%
stated = y.any(axis=1)
right_a, right_b = (hits.any(axis=1) == stated for hits in (hits_a, hits_b))
Markdown(
    markdown_table(
        ["sentences", f"{b.name} right", f"{b.name} wrong"],
        [
            [f"{a.name} {word}", str((mine & right_b).sum()), str((mine & ~right_b).sum())]
            for word, mine in (("right", right_a), ("wrong", ~right_a))
        ],
    )
)

# %% [markdown]
# Their speed: sentences per second on this machine, one model after the other.

# %%
{j.name: round(len(examples) / j.duration_s) for j in results}

# %% [markdown]
# **The answer**:

# %%
Markdown(
    f"{verdict(differences['mean_f1'], a.name, b.name)} On {len(examples):,} sentences of {len(set(docs))} documents; "
    f"whether a sentence states a risk, only {a.name} gets right in {(right_a & ~right_b).sum()}, "
    f"only {b.name} in {(right_b & ~right_a).sum()}."
)
