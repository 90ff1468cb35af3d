"""Deployments of models, their rollout, the shadow model and drift."""
