# %% [markdown]
# # Can a company train risk types of its own?
# A food producer has eight risk types of its own, and 30 short sentences of each. Do they suffice to train, measure, register and serve a model?

# %% [markdown]
# The parameters: environment variables may set another taxonomy, other labelled sentences, and how long to train.

# %%
import os
import sys
from pathlib import Path

sys.path[:0] = [".", ".."]  # whether this runs in the repository's root or in notebooks/

from service.config import settings as config
from service.config.settings import ROOT

TAXONOMY = Path(os.environ.get("TAXONOMY", ROOT / "notebooks/food_producer/taxonomy.json"))
DATA = Path(os.environ.get("DATA", ROOT / "notebooks/food_producer/sentences.jsonl"))
EPOCHS = int(os.environ.get("EPOCHS", "6"))
SERVING = ROOT / config.load().model_dir
ENVIRONMENT = dict(os.environ)

# %% [markdown]
# The imports: the product's own code, and a client that calls the service over HTTP.

# %%
# %matplotlib inline
import json
import socket
import subprocess
import tempfile
import time
import warnings
from dataclasses import replace

import httpx
import numpy as np
from IPython.display import Markdown
from matplotlib.figure import Figure

warnings.filterwarnings("ignore", message="IProgress not found")
from ml.artifact.registration import Request
from ml.corpus.dataset import read_examples, targets
from ml.evaluation.markdown_table import interval, markdown_table
from ml.evaluation.predictions import PREDICTIONS_FILE, read_predictions
from ml.settings import load
from ml.steps import calibrate, dataset, evaluate, export, register, train
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.operating_points import risk_scores
from service.nlp.taxonomy import read_taxonomy

# %% [markdown]
# The taxonomy: categories with risk types, each with a key, a title, a definition and an example. A missing field or an ambiguous name would be refused here.

# %%
taxonomy = read_taxonomy(TAXONOMY, remedy="Correct the file.")
Markdown(
    markdown_table(
        ["category", "risk type", "title", "definition"],
        [[c.title, r.key, r.title, r.definition] for c in taxonomy.categories for r in c.risk_types],
    )
)

# %% [markdown]
# The labelled sentences. A label that the taxonomy lacks would be refused with its line. Three documents in five train; the others calibrate and measure.

# %%
examples = read_examples(DATA, taxonomy)
documents = list(dict.fromkeys(e.doc for e in examples))
part = {doc: k % 5 < 3 for k, doc in enumerate(documents)}
folder = tempfile.TemporaryDirectory()
for name, chosen in (("train", True), ("dev", False)):
    lines = [json.dumps({"text": e.text, "labels": e.labels, "doc": e.doc}) for e in examples if part[e.doc] is chosen]
    Path(folder.name, f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
counts = dict(zip(taxonomy.risk_types, targets(examples, taxonomy).sum(axis=0).astype(int).tolist()))
f"{len(examples)} sentences of {len(documents)} documents", counts

# %% [markdown]
# The configuration is that of `make retrain`, with this taxonomy and these files. It starts from the pretrained package, since the serving model has other risk types.

# %%
settings = load(ROOT / "ml/configs/retrain.toml")
settings = replace(
    settings,
    artifact=replace(
        settings.artifact, name="food-risks", version="1.0.0", folder=f"{folder.name}/run/model",
        golden_tolerance=0.005, calibration_of="",
    ),
    data=replace(
        settings.data, authored=[f"{folder.name}/train.jsonl"], real=[], second_readings=[], feedback=[],
        dev=[f"{folder.name}/dev.jsonl"], dev_fallback=[], kinds="", taxonomy=str(TAXONOMY),
    ),
    base=replace(settings.base, start=[]),
    train=replace(
        settings.train, run=f"{folder.name}/run", epochs=EPOCHS, decay_epochs=EPOCHS, n_checkpoints=2, n_averaged=1,
        batch_size=16, encoder_lr=2e-4, head_lr=5e-3, keep=0.0, n_threads=1,
    ),
)  # fmt: skip

# %% [markdown]
# Check the sentences, train, and export: the artifact carries the taxonomy.

# %%
dataset.run(settings)
train.run(settings)
export.run(settings)
artifacts.load(settings.artifact_dir).taxonomy == taxonomy

# %% [markdown]
# Calibrate on the other documents, then measure on them. The thresholds of the "nested" figures were chosen on other documents than they are measured on.

# %%
calibrate.run(settings)
evaluate.run(settings, baselines=True)
evaluation = json.loads((settings.run_dir / "evaluation.json").read_text(encoding="utf-8"))
names = {"risk_f1": "risk or no risk", "category_f1": "category", "type_f1": "risk type"}
Markdown(
    markdown_table(
        ["F1", "model, nested", *evaluation["baselines"]],
        [
            [title, *(interval(block[key]) for block in (evaluation["nested"], *(b["nested"] for b in evaluation["baselines"].values())))]
            for key, title in names.items()
        ],
    )
)  # fmt: skip

# %% [markdown]
# F1 of each risk type on some twelve sentences each: such bars say which types to collect more sentences of, not how good the model will be.

# %%
types = evaluation["risk_types"]
figure = Figure(figsize=(7, 3), layout="constrained")
axis = figure.subplots()
axis.barh(range(len(types)), [t["f1"] for t in types.values()], color="C0")
axis.set_yticks(range(len(types)), [f"{taxonomy.risk_titles[key]} ({t['sentences']})" for key, t in types.items()])
axis.set(xlim=(0, 1), xlabel="F1 at the balanced point")
figure

# %% [markdown]
# The scores of the measured sentences: the further apart the two groups, the less a threshold has to decide.

# %%
predictions = read_predictions(settings.run_dir / PREDICTIONS_FILE)
risk, states = risk_scores(predictions.scores), predictions.y.any(axis=1)
figure = Figure(figsize=(7, 3), layout="constrained")
axis = figure.subplots()
axis.hist([risk[states], risk[~states]], bins=np.linspace(0, 1, 21), label=["states a risk", "states none"], color=["C3", "C0"])
axis.set(xlabel="score of any risk", ylabel="sentences")
axis.legend()
figure

# %% [markdown]
# Register it. The gate cannot compare models with different risk types, so a person decides and gives the reason.

# %%
registry = Path(folder.name) / "models"
register.run(
    Request(settings.artifact_dir, [Path(folder.name, "dev.jsonl")], SERVING, force=True, why="The first model with our own types."),
    registry_dir=registry,
    reason="it serves now",
)  # fmt: skip

# %% [markdown]
# Serve it. A running service switches with `python -m service models activate food-risks/1.0.0 --force --why ...`; a new one takes it as `MODEL_DIR`.

# %%
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
log = Path(folder.name, "service.log").open("w", encoding="utf-8")
service = subprocess.Popen(
    [sys.executable, "-m", "service"],
    cwd=ROOT,
    env={
        **ENVIRONMENT, "PORT": str(port), "DATA_DIR": f"{folder.name}/data", "MODEL_DIR": str(registry / "food-risks/1.0.0"),
        "DATABASE_URL": f"sqlite:///{folder.name}/riskscan.db", "REGISTRY_DIR": str(registry), "AI_SERVICE_URL": "", "INFERENCE_THREADS": "1", "WORKERS": "1", "RISKSCAN_ENV_FILE": "",
    },
    stdout=log,
    stderr=subprocess.STDOUT,
)  # fmt: skip
http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
for _ in range(600):
    with socket.socket() as probe:
        if service.poll() is not None or probe.connect_ex(("127.0.0.1", port)) == 0:
            break
    time.sleep(0.2)
account = {"email": "quality@food.example", "password": "correct horse"}
http.post("/api/auth/register", json=account).raise_for_status()
login = http.post("/api/auth/login", data={"username": account["email"], "password": account["password"]}).json()
http.headers["Authorization"] = f"Bearer {login['access_token']}"

# %% [markdown]
# The service lists the company's own types.

# %%
served = http.get("/api/v1/taxonomy").raise_for_status().json()
{category["title"]: [risk["title"] for risk in category["risk_types"]] for category in served["categories"]}

# %% [markdown]
# Scan a text that is in none of the files.

# %%
text = (
    "The plant makes eleven sorts of pastry. Metal chips were found in the puff pastry on Friday. "
    "The freezer of the depot failed over the weekend. Two of three bakers on the night shift are ill. "
    "The wholesaler may drop our croissants from its range. The audit is in May."
)
scan = http.post("/api/scan", json={"text": text}).raise_for_status().json()
Markdown(markdown_table(["category", "risk", "sentence"], [[f["category"], f["risk"], f["context"]] for f in scan["data"]]))

# %% [markdown]
# Filter the scans by each own category. A name that the service does not know is refused with the names that it knows.

# %%
by_category = {
    category["key"]: len(http.get("/api/v1/scans", params={"category": category["key"]}).raise_for_status().json()["items"])
    for category in served["categories"]
}  # fmt: skip
by_category, http.get("/api/v1/scans", params={"category": "schedule"}).json()["errors"]

# %% [markdown]
# Stop the service, and remove the temporary folder.

# %%
http.close()
service.terminate()
service.wait(60)
log.close()
folder.cleanup()

# %% [markdown]
# **The answer**, in the numbers of this run:

# %%
nested, tfidf = evaluation["nested"], evaluation["baselines"]["tfidf"]["nested"]
low, high = (100 * nested["type_f1"][key] for key in ("low", "high"))
Markdown(
    f"Yes: {sum(part.values())} documents with {sum(part[e.doc] for e in examples)} sentences gave a model with F1 "
    f"{100 * nested['risk_f1']['value']:.0f} for risk or none and {100 * nested['type_f1']['value']:.0f} [{low:.0f}, {high:.0f}] for "
    f"the risk type on the other {len(documents) - sum(part.values())} documents; TF-IDF reaches "
    f"{100 * tfidf['type_f1']['value']:.0f} for the type. It found {len(scan['data'])} risks in a new text of six sentences. These figures "
    "flatter: one author wrote all the sentences, they are short and plain, most of them state a risk, and some twelve of a type measure it. "
    "On real reports expect less, and collect some hundred labelled sentences of your own documents before you trust a figure."
)
