"""Writes the model folder: graph, quantization, manifest, golden sentences, model card."""
