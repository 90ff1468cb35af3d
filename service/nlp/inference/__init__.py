"""Sentences to scores: tokenization, scheduling, engines, the score cache."""
