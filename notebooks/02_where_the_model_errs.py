# %% [markdown]
# # Where does the model err?
# Which risks does the serving model miss, what does it report without reason, and in what kind of sentence?

# %% [markdown]
# The parameters: environment variables may set other labelled sentences, another artifact, and how many sentences to read.

# %%
import os
import sys
from pathlib import Path

sys.path[:0] = [".", ".."]  # whether this runs in the repository's root or in notebooks/

from service.config import settings
from service.config.settings import ROOT

DATA = Path(os.environ.get("DATA", ROOT / "ml/data/golden.jsonl"))
MODEL = ROOT / settings.load().model_dir
SAMPLE = int(os.environ.get("SAMPLE", "2000"))

# %% [markdown]
# The imports: the product's own code, and a plotting library.

# %%
# %matplotlib inline
import numpy as np
from IPython.display import Markdown
from matplotlib.figure import Figure

from ml.evaluation.resampling import sum_by_document
from ml.corpus.dataset import read_examples, targets
from ml.evaluation.scoring import analyze_examples
from ml.evaluation.metrics import any_risk, count, f1, f1_measures, precision_recall, reliability
from ml.evaluation.slices import confusion, slices
from ml.evaluation.markdown_table import interval, markdown_table
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts.operating_points import risk_scores

# %% [markdown]
# The service's own analyzer scores the sentences and decides at the balanced operating point.

# %%
analyzer = LocalAnalyzer.open(MODEL, device="cpu", n_threads=1)
taxonomy = analyzer.taxonomy
examples = read_examples(DATA, taxonomy)[:SAMPLE]
results = analyze_examples(analyzer, examples, sensitivities=["balanced"])
threshold = analyzer.operating_points["balanced"].risk_threshold
analyzer.close()
y, docs, scores, hits = targets(examples, taxonomy), [e.doc for e in examples], results.scores, results.hits["balanced"]
risk, stated, predicted = risk_scores(scores), y.any(axis=1), hits.any(axis=1)

# %% [markdown]
# Precision, recall and F1 with 95 % bootstrap intervals over whole documents.

# %%
measures = precision_recall(hits, y, docs) | f1_measures(hits, y, docs, taxonomy=taxonomy)
Markdown(
    markdown_table(
        ["measure", "value and 95 % interval"],
        [[key.replace("_", " "), f"{m.value:.2f} [{m.low:.2f}, {m.high:.2f}]"] for key, m in measures.items()],
    )
)

# %% [markdown]
# The scores of sentences with and without a risk: those on the wrong side of the line are missed, or false alarms.

# %%
figure = Figure(figsize=(8, 3), layout="constrained")
axis = figure.subplots()
axis.hist([risk[stated], risk[~stated]], bins=np.linspace(0, 1, 21), label=["states a risk", "states none"])
axis.axvline(threshold, color="black", linewidth=1, linestyle="--", label="threshold")
axis.set(xlabel="score of any risk", ylabel="sentences", xlim=(0, 1))
axis.legend()
figure

# %% [markdown]
# Calibration: of the sentences scored 0.7, seven of ten should state a risk.

# %%
bins = reliability(risk[:, None], stated[:, None].astype(np.float32), least=0.0)
figure = Figure(figsize=(4.5, 4), layout="constrained")
axis = figure.subplots()
axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
axis.plot([b["score"] for b in bins], [b["share"] for b in bins], marker="o")
for b in bins:
    axis.annotate(str(b["pairs"]), (b["score"], b["share"]), fontsize=7, xytext=(4, -9), textcoords="offset points")
axis.set(xlabel="mean score", ylabel="share that states a risk", xlim=(0, 1), ylim=(0, 1))
figure

# %% [markdown]
# The confusion of categories: the diagonal is right, the last column missed, the last row false alarms.

# %%
table = confusion(hits, y, scores, taxonomy=taxonomy)
counts = np.array(table["counts"])
titles = [taxonomy.category_titles.get(key, key) for key in table["labels"]]
shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
figure = Figure(figsize=(7, 6), layout="constrained")
axis = figure.subplots()
axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
for (row, column), n in np.ndenumerate(counts):
    if n:
        axis.text(column, row, n, ha="center", va="center", fontsize=7,
                  color="white" if shares[row, column] > 0.5 else "black")  # fmt: skip
axis.set_xticks(range(len(titles)), titles, rotation=60, ha="right")
axis.set_yticks(range(len(titles)), titles)
axis.set(xlabel="predicted", ylabel="true")
figure

# %% [markdown]
# F1 by the length of the sentence in words.

# %%
Markdown(
    markdown_table(
        ["words", "sentences", "risk F1", "category F1"],
        [
            [name, str(part["sentences"]), interval(part["risk_f1"]), interval(part["category_f1"])]
            for name, part in slices(hits, y, examples, taxonomy=taxonomy)["length"].items()
        ],
    )
)

# %% [markdown]
# Right, missed and falsely reported sentences of each risk type that occurs, the worst F1 on top.

# %%
per_type = count(hits, y > 0).sum(axis=0)
occurs = np.flatnonzero(per_type[:, 0] + per_type[:, 2])
order = occurs[np.argsort(-f1(per_type[occurs]), kind="stable")]
right, alarms, missed = per_type[order].T
figure = Figure(figsize=(8, 0.9 + 0.2 * len(order)), layout="constrained")
axis = figure.subplots()
axis.barh(range(len(order)), right, color="C0", label="right")
axis.barh(range(len(order)), missed, left=right, color="C1", label="missed")
axis.barh(range(len(order)), -alarms, color="C3", label="false alarms")
axis.axvline(0, color="black", linewidth=0.8)
axis.set_yticks(range(len(order)), [taxonomy.risk_titles[taxonomy.risk_types[k]] for k in order], fontsize=8)
axis.set(xlabel="sentences")
axis.margins(y=0.01)
axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
figure

# %% [markdown]
# The model's most confident errors: either its worst, or errors of the labels.

# %%
wrong = np.flatnonzero(stated != predicted)
surest = wrong[np.argsort(-np.abs(risk[wrong] - threshold))][:10]
Markdown(
    markdown_table(
        ["score", "the labels say", "sentence"],
        [
            [f"{risk[k]:.2f}", ", ".join(examples[k].labels) or "no risk", examples[k].text.replace("|", " ")]
            for k in surest
        ],
    )
)

# %% [markdown]
# Errors cluster in documents: the share of all errors that is in the worst fifth of the documents.

# %%
by_document = np.sort(sum_by_document((stated != predicted)[:, None].astype(float), docs)[:, 0])[::-1]
worst_fifth = by_document[: max(1, len(by_document) // 5)].sum() / max(1, by_document.sum())
f"{worst_fifth:.0%} of the errors are in a fifth of the {len(by_document)} documents"

# %% [markdown]
# **The answer**, in the numbers of these sentences:

# %%
n_missed, n_alarms = count(any_risk(hits), any_risk(y > 0)).sum(axis=(0, 1))[[2, 1]]
right_risk = stated & predicted
same = ((hits == (y > 0)).all(axis=1) & right_risk).sum() / max(1, right_risk.sum())
Markdown(
    f"{results.name} misses {n_missed:.0f} of {stated.sum()} sentences that state a risk, and reports "
    f"{n_alarms:.0f} of {(~stated).sum()} that state none. Where it rightly reports a risk, all types equal the labels "
    f"in {same:.0%}. "
    f"It misses {taxonomy.risk_titles[taxonomy.risk_types[order[missed.argmax()]]].lower()} most often, and reports "
    f"{taxonomy.risk_titles[taxonomy.risk_types[order[alarms.argmax()]]].lower()} most often wrongly."
)
