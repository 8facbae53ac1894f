"""Sharpness-aware minimisation (Foret et al. 2021, arXiv 2010.01412)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def sam_gradients(
    parameters: Sequence[torch.nn.Parameter], loss: Callable[[], Tensor], rho: float
) -> Tensor:
    """Leave in ``.grad`` the gradient at the worst place within `rho` of the weights.

    Calls `loss` twice, goes uphill by `rho` along the first gradient, takes the second there and
    goes back. Without `rho` it is one ordinary backward pass. Returns the loss at the weights.
    """
    value = loss()
    value.backward()  # type: ignore[no-untyped-call]
    if not rho:
        return value.detach()
    with torch.no_grad():
        moved = [p for p in parameters if p.grad is not None]
        norm = torch.stack([p.grad.norm() for p in moved if p.grad is not None]).norm()
        steps = [p.grad * (rho / (norm + 1e-12)) for p in moved if p.grad is not None]
        for parameter, step in zip(moved, steps, strict=True):
            parameter.add_(step)
            parameter.grad = None
    loss().backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter, step in zip(moved, steps, strict=True):
            parameter.sub_(step)
    return value.detach()
