"""The plain peer: Flask and a transformers pipeline, served by gunicorn.

gunicorn 'tests.bench.peers.plain:create_app()'
"""

import os
import threading

import torch
from flask import Flask, request
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from tests.bench.peers.classifier import MIN_SCORE


def create_app():
    """Return the application with its pipeline loaded."""
    torch.set_num_threads(int(os.environ["THREADS"]))
    folder, dtype = os.environ["MODEL"], getattr(torch, os.environ["DTYPE"])
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=True, dtype=dtype
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    lock = threading.Lock()  # two forward passes at once are slower than one after the other
    app = Flask("plain")

    @app.get("/health")
    def health():
        return "ready"

    @app.post("/predict")
    def predict():
        texts = request.get_json()["texts"]
        with lock:
            answers = classify(
                texts, top_k=None, truncation=True, batch_size=int(os.environ["BATCH"])
            )
        return [
            {a["label"]: a["score"] for a in answer if a["score"] >= MIN_SCORE}
            for answer in answers
        ]

    return app
