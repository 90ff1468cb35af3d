"""Small random networks whose activations vary as those of trained ones do."""

import torch


def randomize(network, *, seed=0):
    """Fill all weights: matrices that keep the scale of their input, norms around 1, biases around 0."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in network.state().items():
        noise = torch.randn(value.shape, generator=generator)
        if "norm" in name and name.endswith("weight"):
            state[name] = 1 + 0.2 * noise
        elif value.ndim == 1:
            state[name] = 0.1 * noise
        elif name.startswith(("words", "positions", "relative")):
            state[name] = noise
        else:
            state[name] = noise * value.shape[1] ** -0.5
    network.load_state(state)
    return network.eval()
