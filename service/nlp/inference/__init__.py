"""Sentences to outputs of the network: tokenization, scheduler, engines, score cache."""
