"""Labels of 240 sentences in 30 documents, and decisions that miss a share of them."""

import numpy as np

N = 240
DOCS = [f"report {i // 8}" for i in range(N)]
Y = np.zeros((N, 37), np.float32)
Y[np.arange(0, N, 3), np.arange(0, N, 3) % 37] = 1


def wrong(share, *, seed=0):
    """The true labels, with this share of the positives missed."""
    hits = Y > 0
    missed = np.random.default_rng(seed).random(N) < share
    return hits & ~missed[:, None]
