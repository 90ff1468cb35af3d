"""Sentences to train on: reading, checking, splitting."""
