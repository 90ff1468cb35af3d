"""A linear layer that trains two small factors instead of its matrix (LoRA, arXiv:2106.09685)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class LoraLinear(nn.Module):
    """Computes x (W + B A)' + b; W and b are frozen, A (rank, in) and B (out, rank) train.

    B starts at zero, so the layer first computes what `base` does. The product is added to W x in place, both
    ways: on a CPU, this layer is faster than one that keeps W x and B A x apart. With `bfloat16`, W is stored
    so, which saves its conversion at each step.
    """

    bias: Tensor

    def __init__(self, base: nn.Linear, rank: int, *, bfloat16: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(base.weight.detach().clone(), requires_grad=False)
        bias: Tensor | None = base.bias
        if bias is None:
            self.register_buffer("bias", torch.zeros(base.out_features), persistent=False)
        else:
            self.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
        self.lora_a = nn.Parameter(torch.empty(rank, base.in_features))
        nn.init.kaiming_uniform_(self.lora_a, a=5**0.5)
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank))
        fast = self.weight.detach().bfloat16() if bfloat16 else self.weight.detach()
        self.register_buffer("_fast_weight", fast, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., out) for (..., in)."""
        weight: Tensor = self._fast_weight  # type: ignore[assignment]
        dtype = weight.dtype
        factors = (self.lora_a.to(dtype), self.lora_b.to(dtype))
        rows = x.reshape(-1, x.shape[-1]).to(dtype)
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = _Product.apply(rows, (weight, self.bias.to(dtype)), *factors)  # type: ignore[no-untyped-call]
        return out.view(*x.shape[:-1], -1)

    def change(self) -> Tensor:
        """Return B A, what training adds to the matrix."""
        return self.lora_b.detach() @ self.lora_a.detach()


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's
        x: Tensor,
        frozen: tuple[Tensor, Tensor],
        a: Tensor,
        b: Tensor,
    ) -> Tensor:
        weight, bias = frozen
        inner = x @ a.T
        ctx.save_for_backward(x, weight, a, b, inner)
        return torch.addmm(bias, x, weight.T).addmm_(inner, b.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's
        x, weight, a, b, inner = ctx.saved_tensors
        grad_inner = grad @ b
        grad_x = (grad @ weight).addmm_(grad_inner, a)
        return grad_x, None, grad_inner.T @ x, grad.T @ inner
