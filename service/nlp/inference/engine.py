"""The interface of an inference engine: token ids in, outputs of the network out.

Imports neither ONNX Runtime nor torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from service.errors import RiskscanError
from service.nlp.arrays import Floats, Ints


class EngineOutOfMemory(RiskscanError):
    """The batch does not fit into the accelerator's memory."""


@dataclass(frozen=True, slots=True)
class PassLimits:
    """The number and size of forward passes at which an engine is fastest."""

    parallel_passes: int
    """Forward passes that may run at the same time, each on its own thread."""
    tokens: int
    """Most tokens in one pass, padding included; a single longer row runs alone."""
    overhead_tokens: int
    """Cost of starting a pass, in tokens: padding up to this is cheaper than one more pass."""


# Larger passes are no faster per token on a CPU (from about 100 tokens on), and every waiting request waits
# for the pass in progress. A pass costs 0.4 ms plus 0.16 ms a token on one core with AVX2. Padding costs a
# tenth of that, since attention alone sees it (November 2026).
CPU_LIMITS = PassLimits(parallel_passes=1, tokens=256, overhead_tokens=64)
# A GPU needs large batches. With two passes at once, one computes while the other's arrays are copied.
CUDA_LIMITS = PassLimits(parallel_passes=2, tokens=32_768, overhead_tokens=1_024)


class Engine(ABC):
    """A loaded network. At most `limits.parallel_passes` threads may call it at the same time."""

    device: str
    limits = CPU_LIMITS
    has_exit = False
    """Whether rows may leave the network early, see `early_outputs`."""
    vector_size = 0
    """Width of `vectors`; 0 if the engine gives none."""
    n_outputs: int
    """n_risk_types, or 3 * n_risk_types for a network with influence (neighbour_context.py)."""

    @abstractmethod
    def outputs(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        """Run one forward pass: float32 (b, n_outputs) for int64 (b, t) ids and a mask of zeros and ones.

        A row's outputs depend neither on the other rows nor on its padding (within 1e-5 on the CPU).

        Raises:
            EngineOutOfMemory: the batch does not fit into the accelerator's memory.
        """

    def early_outputs(
        self,
        input_ids: Ints,
        attention_mask: Ints,
        leave_below: Floats,  # noqa: ARG002 - for engines with an exit
    ) -> Floats:
        """Return `outputs`, but let certainly harmless rows leave the network early if it has an exit.

        `leave_below` is float32 (b,): a row leaves if its exit score is lower, and never at -inf. A row that
        left has logits of -inf and an estimated influence on its neighbours; all others have the outputs
        that they have without an exit.
        """
        return self.outputs(input_ids, attention_mask)

    def vectors(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        """Return the meaning of each row for search, float32 (b, vector_size), for arguments as in `outputs`.

        It is the sum over `NetworkConfig.vector_layers` of the mean of the row's tokens, scaled to length 1.
        Any thread may call this beside the forward passes of scans.
        """
        raise NotImplementedError(f"{type(self).__name__} gives no vectors; see vector_size")
