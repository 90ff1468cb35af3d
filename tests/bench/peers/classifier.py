"""The classifier inside the peers' servers: texts in, scores of the stated risk types out.

Sorts by length to reduce padding; imports nothing of ours. Settings come from the environment:
MODEL (a folder), THREADS, BATCH, and for torch DTYPE.
"""

import json
import os
from pathlib import Path

import numpy as np

MIN_SCORE = 0.5
"""Smaller scores are left out of the answer."""


class Classifier:
    """Scores any number of texts; subclasses score one batch of similar length."""

    labels: list[str]

    def __call__(self, texts):
        """Return {risk type: score} of each text, for scores of at least MIN_SCORE."""
        size = int(os.environ["BATCH"])
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
        scores_by_text = [{}] * len(texts)
        for begin in range(0, len(order), size):
            rows = order[begin : begin + size]
            for row, scores in zip(rows, self.scores([texts[i] for i in rows]), strict=True):
                scores_by_text[row] = {
                    self.labels[k]: float(scores[k]) for k in np.flatnonzero(scores >= MIN_SCORE)
                }
        return scores_by_text


class TorchClassifier(Classifier):
    """The converted weights in transformers and torch."""

    def __init__(self):
        import torch  # noqa: PLC0415 - absent where the int8 file is served
        from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: PLC0415

        self._torch = torch
        torch.set_num_threads(int(os.environ["THREADS"]))
        self._tokenizer = AutoTokenizer.from_pretrained(os.environ["MODEL"])
        self._model = AutoModelForSequenceClassification.from_pretrained(
            os.environ["MODEL"], trust_remote_code=True, dtype=getattr(torch, os.environ["DTYPE"])
        ).eval()
        self.labels = [self._model.config.id2label[i] for i in range(self._model.config.num_labels)]

    def scores(self, texts):
        """Return the sigmoid of the logits, float32 (len(texts), n_labels)."""
        with self._torch.inference_mode():
            inputs = self._tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
            return self._model(**inputs).logits.float().sigmoid().numpy()


class Int8Classifier(Classifier):
    """Our own int8 file in ONNX Runtime: its default options but the number of threads."""

    def __init__(self):
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as the service does
        import onnxruntime as ort  # noqa: PLC0415 - absent where torch serves
        from tokenizers import Tokenizer  # noqa: PLC0415

        folder = Path(os.environ["MODEL"])
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.labels = manifest["labels"]
        self._bias, self._temperature = manifest.get("bias", 0.0), manifest["temperature"]
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["THREADS"])
        self._session = ort.InferenceSession(
            folder / "model.int8.onnx", options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(manifest["max_length_tokens"])
        self._tokenizer.enable_padding()

    def scores(self, texts):
        """Return the calibrated scores, float32 (len(texts), n_labels)."""
        encodings = self._tokenizer.encode_batch_fast(texts)
        ids, mask = (
            np.array([getattr(e, name) for e in encodings], np.int64)
            for name in ("ids", "attention_mask")
        )
        (logits,) = self._session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
        return 1 / (1 + np.exp(-(logits + self._bias) / self._temperature))


CLASSIFIERS = {"torch": TorchClassifier, "int8": Int8Classifier}


def from_environment():
    """Return the classifier that ENGINE names."""
    return CLASSIFIERS[os.environ["ENGINE"]]()
