"""Turns sentences into outputs of the network: tokenization, scheduler, engines, score cache."""
