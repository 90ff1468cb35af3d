# %% [markdown]
# # Which operating point should a scan ask for?
# Missed risks and false alarms have different prices: at which sensitivity do both together cost least?

# %% [markdown]
# The parameters: MISSED_COST is how many false alarms one missed risk is worth, RISK_SHARE how many of your sentences state a risk.

# %%
import os
import sys
from pathlib import Path

sys.path[:0] = [".", ".."]  # whether this runs in the repository's root or in notebooks/

from service.config import settings
from service.config.settings import ROOT

DATA = Path(os.environ.get("DATA", ROOT / "ml/data/golden.jsonl"))
MODEL = ROOT / settings.load().model_dir
MISSED_COST = float(os.environ.get("MISSED_COST", "5"))
RISK_SHARE = float(os.environ.get("RISK_SHARE", "0.3"))
SAMPLE = int(os.environ.get("SAMPLE", "2000"))

# %% [markdown]
# The imports: the product's own code, and a plotting library.

# %%
# %matplotlib inline
import numpy as np
from IPython.display import Markdown
from matplotlib.figure import Figure

from ml.evaluation.resampling import resampled_documents, sum_by_document
from ml.evaluation.calibration import fit_points
from ml.corpus.dataset import read_examples, targets
from ml.evaluation.scoring import analyze_examples
from ml.evaluation.metrics import any_risk, precision_recall, precision_recall_curve
from ml.evaluation.markdown_table import markdown_table
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts.operating_points import SENSITIVITIES, risk_scores

# %% [markdown]
# The model scores the sentences once and decides at each of its three operating points.

# %%
analyzer = LocalAnalyzer.open(MODEL, device="cpu", n_threads=1)
taxonomy = analyzer.taxonomy
examples = read_examples(DATA, taxonomy)[:SAMPLE]
results = analyze_examples(analyzer, examples)
points = analyzer.operating_points
analyzer.close()
y, docs, risk = targets(examples, taxonomy), [e.doc for e in examples], risk_scores(results.scores)
stated = y.any(axis=1)

# %% [markdown]
# Each point's risk threshold, and its precision and recall of risk with 95 % intervals.

# %%
measured = {s: precision_recall(results.hits[s], y, docs) for s in SENSITIVITIES}
Markdown(
    markdown_table(
        ["sensitivity", "risk threshold", "precision", "recall"],
        [
            [s, f"{points[s].risk_threshold:.2f}",
             *(f"{m.value:.2f} [{m.low:.2f}, {m.high:.2f}]" for m in measured[s].values())]
            for s in SENSITIVITIES
        ],
    )
)  # fmt: skip

# %% [markdown]
# Every threshold is a point of this curve; the artifact's three are marked.

# %%
precision, recall = precision_recall_curve(risk, stated)
figure = Figure(figsize=(6, 4), layout="constrained")
axis = figure.subplots()
axis.step(recall, precision, where="pre")
for s, m in measured.items():
    at = (m["risk_recall"].value, m["risk_precision"].value)
    axis.plot(*at, marker="o", color="black")
    axis.annotate(s, at, xytext=(6, 4), textcoords="offset points")
axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.05))
figure

# %% [markdown]
# Missed and falsely reported sentences per thousand by threshold, if RISK_SHARE of them state a risk.

# %%
thresholds = np.linspace(0.02, 0.98, 97)
reported = risk[:, None] >= thresholds
missed = 1000 * RISK_SHARE * (1 - reported[stated].mean(axis=0))
alarms = 1000 * (1 - RISK_SHARE) * reported[~stated].mean(axis=0)
cost = MISSED_COST * missed + alarms
figure = Figure(figsize=(9, 3.4), layout="constrained")
left, right = figure.subplots(1, 2)
left.plot(thresholds, missed, label="missed")
left.plot(thresholds, alarms, label="false alarms")
left.set(xlabel="risk threshold", ylabel="of 1,000 sentences")
left.legend()
right.plot(thresholds, cost, color="black")
for s in SENSITIVITIES:
    at = points[s].risk_threshold
    right.plot(at, np.interp(at, thresholds, cost), marker="o", color="C3")
    right.annotate(s, (at, np.interp(at, thresholds, cost)), xytext=(4, 6), textcoords="offset points")
right.set(
    xlabel="risk threshold", ylabel="cost of 1,000 sentences", title=f"a missed risk costs {MISSED_COST:g} false alarms"
)
figure

# %% [markdown]
# The cost of each point over resampled documents shows how certain the ranking is.

# %%
truth = any_risk(y > 0)[:, 0]
drawn = resampled_documents(docs)
n_risk, n_none = (np.maximum(drawn @ sum_by_document(part.astype(float), docs), 1) for part in (truth, ~truth))
costs = np.array(
    [
        1000 * MISSED_COST * RISK_SHARE * (drawn @ sum_by_document((truth & ~hit).astype(float), docs)) / n_risk
        + 1000 * (1 - RISK_SHARE) * (drawn @ sum_by_document((~truth & hit).astype(float), docs)) / n_none
        for hit in (results.hits[s].any(axis=1) for s in SENSITIVITIES)
    ]
)
cheapest = np.bincount(costs.argmin(axis=0), minlength=len(SENSITIVITIES)) / costs.shape[1]
figure = Figure(figsize=(6, 3), layout="constrained")
axis = figure.subplots()
axis.boxplot(costs.T, whis=(2.5, 97.5), showfliers=False)
axis.set_xticks(range(1, 4), [f"{s}\ncheapest in {p:.0%}" for s, p in zip(SENSITIVITIES, cheapest)])
axis.set(ylabel="cost of 1,000 sentences")
figure

# %% [markdown]
# Each point's cost relative to the cheapest at other prices; the choice changes where the lines cross.

# %%
prices = np.geomspace(0.2, 50, 60)
rates = np.array([[(stated & ~hit).sum() / max(1, stated.sum()), (~stated & hit).sum() / max(1, (~stated).sum())]
                  for hit in (results.hits[s].any(axis=1) for s in SENSITIVITIES)])  # fmt: skip
at_price = 1000 * (RISK_SHARE * rates[:, :1] * prices + (1 - RISK_SHARE) * rates[:, 1:])
figure = Figure(figsize=(6, 3.2), layout="constrained")
axis = figure.subplots()
for s, line in zip(SENSITIVITIES, at_price):
    axis.plot(prices, line / at_price.min(axis=0), label=s)
axis.axvline(MISSED_COST, color="grey", linewidth=0.8, linestyle="--")
axis.set(xscale="log", xlabel="false alarms that a missed risk is worth", ylabel="cost / cheapest", ylim=(0.95, 3))
axis.legend()
figure

# %% [markdown]
# Points fitted on half of these documents and measured on the other half: the gain of refitting to your own documents.

# %%
half = np.array([sorted(set(docs)).index(doc) % 2 == 0 for doc in docs])
refitted = fit_points(results.scores[half], y[half], taxonomy=taxonomy)
rest_docs = [doc for doc, chosen in zip(docs, half) if not chosen]
Markdown(
    markdown_table(
        ["sensitivity", "shipped: threshold, precision, recall", "refitted: threshold, precision, recall"],
        [
            [s, *(
                f"{p.risk_threshold:.2f}, " + ", ".join(
                    f"{m.value:.2f}" for m in precision_recall(p.decide(results.scores[~half]), y[~half], rest_docs).values()
                )
                for p in (points[s], refitted[s])
            )]
            for s in SENSITIVITIES
        ],
    )
)  # fmt: skip

# %% [markdown]
# **The answer**, for these prices and this share of risks:

# %%
values = dict(zip(SENSITIVITIES, RISK_SHARE * rates[:, 0] * MISSED_COST + (1 - RISK_SHARE) * rates[:, 1]))
best = min(values, key=values.get)
Markdown(
    f"Ask for `sensitivity={best}`: where a missed risk is worth {MISSED_COST:g} false alarms and {RISK_SHARE:.0%} of the "
    f"sentences state one, the errors in 1,000 sentences cost as much as {1000 * values[best]:.0f} false alarms ("
    + ", ".join(f"{s} {1000 * v:.0f}" for s, v in values.items() if s != best)
    + f"); it is the cheapest in {cheapest[SENSITIVITIES.index(best)]:.0%} of the resamples. "
    f"The threshold of least cost here is {thresholds[cost.argmin()]:.2f}."
)
