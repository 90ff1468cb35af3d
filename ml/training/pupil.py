"""A network in training, beside the map from its vectors to those of its teachers."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name the field knows it by

from service.nlp.inference.network import Network


class Pupil(nn.Module):
    """Computes logits, and the pooled vector mapped to the space of the teachers' vectors.

    The linear map trains along and is thrown away (arXiv:1412.6550). With `width` 0 there is none.
    """

    def __init__(self, network: Network, width: int) -> None:
        super().__init__()
        self.network = network
        hidden = network.config.hidden_size
        self.projection = nn.Linear(hidden, width, bias=False) if width else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return float (b, n_labels) and (b, width), for arguments as in `Network.forward`."""
        pooled = self.network.pooled(input_ids, attention_mask)
        logits = self.network.logits(pooled)
        if self.projection is None:
            return logits, pooled[:, :0]
        return logits, self.projection(pooled)


def vector_loss(projected: Tensor, taught: Tensor) -> Tensor:
    """Return the mean over the rows of 1 - cosine, 0 to 2, of vectors (b, width)."""
    return (1 - F.cosine_similarity(projected.float(), taught.float(), dim=1)).mean()
