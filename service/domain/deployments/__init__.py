"""Which model serves: deployments, their rollout, the shadow model, drift."""
