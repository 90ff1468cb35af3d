# %% [markdown]
# # What do the labels look like?
# How many sentences state a risk, of which types, and which types have too few sentences to learn from?

# %% [markdown]
# The parameters: environment variables may set other files of sentences, and how many to read of each.

# %%
import os
import sys
from pathlib import Path

sys.path[:0] = [".", ".."]  # whether this runs in the repository's root or in notebooks/

from service.config.settings import ROOT

TRAIN = os.environ.get("TRAIN", f"{ROOT}/ml/data/authored-*.jsonl")
DATA = Path(os.environ.get("DATA", ROOT / "ml/data/golden.jsonl"))
SAMPLE = int(os.environ.get("SAMPLE", "2000"))

# %% [markdown]
# The imports: the product's own code, and a plotting library.

# %%
# %matplotlib inline
from collections import Counter
from glob import glob

import numpy as np
from IPython.display import Markdown
from matplotlib.figure import Figure

from ml.corpus.dataset import read_examples, targets, without_overlap
from ml.evaluation.metrics import members
from ml.evaluation.markdown_table import markdown_table
from service.nlp.taxonomy import built_in

# %% [markdown]
# The reader is the one that training uses: a faulty line stops here with its number.

# %%
taxonomy = built_in()
files = {Path(name): read_examples(Path(name), taxonomy)[:SAMPLE] for name in sorted(glob(TRAIN))}
train = [e for examples in files.values() for e in examples]
held_out = read_examples(DATA, taxonomy)[:SAMPLE]
y, y_held_out = targets(train, taxonomy), targets(held_out, taxonomy)

# %% [markdown]
# One line per file: sentences, the share that states a risk, documents, and the median number of words.

# %%
Markdown(
    markdown_table(
        ["file", "sentences", "state a risk", "documents", "median words"],
        [
            [
                path.name,
                f"{len(examples):,}",
                f"{np.mean([bool(e.labels) for e in examples]):.0%}",
                f"{len({e.doc for e in examples}):,}",
                f"{np.median([len(e.text.split()) for e in examples]):.0f}",
            ]
            for path, examples in (files | {DATA: held_out}).items()
        ],
    )
)

# %% [markdown]
# The bars count the training sentences of each risk type, the most common on top, in the colour of its category.

# %%
support, order = y.sum(axis=0), np.argsort(y.sum(axis=0), kind="stable")
category = members(taxonomy).argmax(axis=1)
figure = Figure(figsize=(8, 8), layout="constrained")
axis = figure.subplots()
for k, name in enumerate(taxonomy.category_keys):
    places = np.flatnonzero(category[order] == k)
    axis.barh(places, support[order][places], color=f"C{k % 10}", label=taxonomy.category_titles[name],
              hatch="//" if k >= 10 else None, edgecolor="white")  # fmt: skip
axis.set_yticks(range(len(taxonomy.risk_types)), [taxonomy.risk_titles[taxonomy.risk_types[k]] for k in order], fontsize=8)
axis.set(xlabel="training sentences", title="Risk types")
axis.margins(y=0.01)
axis.legend(loc="lower right", fontsize=8)
figure

# %% [markdown]
# Each point is a type. Far from the line, its share of the labels differs between training and held-out sentences.

# %%
share, share_held_out = support / support.sum(), y_held_out.sum(axis=0) / y_held_out.sum()
figure = Figure(figsize=(6, 5), layout="constrained")
axis = figure.subplots()
axis.axline((0, 0), slope=1, color="grey", linewidth=0.8, linestyle="--")
axis.scatter(100 * share, 100 * share_held_out, s=18)
for k in np.argsort(-np.abs(share - share_held_out))[:6]:
    axis.annotate(taxonomy.risk_titles[taxonomy.risk_types[k]], (100 * share[k], 100 * share_held_out[k]), fontsize=8,
                  xytext=(0, 4), textcoords="offset points", rotation=35)  # fmt: skip
axis.set(xlabel="% of the labels in training", ylabel="% of the labels held out")
figure

# %% [markdown]
# The length of sentences with and without a risk, and the number of types per sentence.

# %%
words = np.array([len(e.text.split()) for e in train])
stated = y.any(axis=1)
figure = Figure(figsize=(9, 3.2), layout="constrained")
left, right = figure.subplots(1, 2)
left.hist([words[stated], words[~stated]], bins=range(0, 65, 5), density=True,
          label=["states a risk", "states none"])  # fmt: skip
left.set(xlabel="words", ylabel="share of the sentences", yticks=[], title="Length")
left.legend()
n_types = Counter(y.sum(axis=1).astype(int).tolist())
right.bar(list(n_types), list(n_types.values()), color="C2")
right.set(xlabel="risk types a sentence states", ylabel="sentences", title="Types a sentence")
right.set_xticks(sorted(n_types))
figure

# %% [markdown]
# The percentage of the sentences of a category (row) that also state a risk of another category (column).

# %%
by_category = (y @ members(taxonomy) > 0).astype(float)
together = by_category.T @ by_category
together /= np.maximum(np.diag(together)[:, None], 1)
np.fill_diagonal(together, np.nan)
titles = [taxonomy.category_titles[name] for name in taxonomy.category_keys]
figure = Figure(figsize=(7, 6), layout="constrained")
axis = figure.subplots()
axis.imshow(together, cmap="Blues", vmin=0)
for (row, column), value in np.ndenumerate(together):
    if value >= 0.05:
        axis.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=7,
                  color="white" if value > 0.6 * np.nanmax(together) else "black")  # fmt: skip
axis.set_xticks(range(len(titles)), titles, rotation=60, ha="right")
axis.set_yticks(range(len(titles)), titles)
axis.set(xlabel="states this, too", ylabel="of the sentences that state")
figure

# %% [markdown]
# Training sentences that are near-duplicates of held-out ones, or share a document with them, would inflate every figure.

# %%
rest, dropped = without_overlap(train, held_out)
dict(dropped)

# %% [markdown]
# **The answer**, in the numbers of these files:

# %%
few = [taxonomy.risk_titles[taxonomy.risk_types[k]] for k in order if support[k] < 20]
Markdown(
    f"{len(train):,} training sentences, of which {stated.mean():.0%} state a risk; of those, "
    f"{(y.sum(axis=1) > 1).sum() / max(1, stated.sum()):.0%} state more than one type. The most common type, "
    f"{taxonomy.risk_titles[taxonomy.risk_types[order[-1]]].lower()}, has {support.max():.0f} sentences, the rarest, "
    f"{taxonomy.risk_titles[taxonomy.risk_types[order[0]]].lower()}, {support.min():.0f}. "
    + (f"Fewer than 20 sentences: {', '.join(few).lower()}. " if few else "Every type has at least 20. ")
    + f"{len(train) - len(rest):,} sentences overlap with the {len(held_out):,} held out and are not trained on."
)
