"""The loss terms, in float32 whatever the precision around them.

What a reader gets wrong: with soft targets the cross-entropy of a mixed image *is* the lam-weighted sum of hard
cross-entropies, sum_n lam_n CE(z, y[index_n]), so one function serves clean and mixed batches.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def soft_cross_entropy(logits: Float[Tensor, "B K"], targets: Float[Tensor, "B K"]) -> Float[Tensor, ""]:
    """Return the batch mean of -sum_k targets_k log softmax(logits)_k, a float32 scalar."""
    return F.cross_entropy(logits.float(), targets.float())
