"""What training minimises: soft cross-entropy, attention consistency; and mixed images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of ``-sum(target * log softmax)``; all arguments have n rows."""
    losses = -(targets * F.log_softmax(logits, dim=1)).sum(dim=1)
    return (losses * weights).sum() / weights.sum()


def attention_consistency(maps: Tensor, mirrored: Tensor, head: Tensor) -> Tensor:
    """How far the class activation maps of images and of their mirror images differ.

    ``mean((M - flip(M'))^2)`` over faces, classes and places, with ``M = head @ maps``. Erasing
    attention consistency (Zhang et al. 2022, arXiv 2207.10299) adds it to the cross-entropy of
    erased images, five times: a network that learned a wrong label by heart looks at other
    places in the mirror image. No gradient flows into `head`.

    Args:
        maps: ``(n, c, h, w)`` of the images.
        mirrored: the same of their mirror images.
        head: ``(k, c)`` weights of the last layer.
    """
    fixed = head.detach()
    plain = torch.einsum("kc,nchw->nkhw", fixed, maps)
    turned = torch.einsum("kc,nchw->nkhw", fixed, mirrored).flip(-1)
    return (plain - turned).square().mean()


def mix(
    batch: Tensor, targets: Tensor, alpha: float, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mixup (Zhang et al. 2018, arXiv 1710.09412): blend each image and target with another's.

    One share a batch, drawn from ``Beta(alpha, alpha)``.
    """
    low, high = torch._standard_gamma(torch.full((2,), alpha), generator=rng)
    share = float(low / (low + high).clamp(min=1e-6))
    other = torch.randperm(len(batch), generator=rng)
    return torch.lerp(batch[other], batch, share), torch.lerp(targets[other], targets, share)


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
