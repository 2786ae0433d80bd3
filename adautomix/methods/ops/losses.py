"""The loss terms of Eq. 3-4, in float32 whatever the precision around them.

Adversarial AutoMixup (ICLR 2024). With soft targets the cross-entropy of a mixed image *is*
the lam-weighted sum of hard cross-entropies, sum_n lam_n CE(z, y[index_n]), so one function serves every term that is a
cross-entropy: which image and which head it is given makes it L_ace, L_mce or L_amce.
"""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def soft_cross_entropy(logits: Float[Tensor, "B K"], targets: Float[Tensor, "B K"]) -> Float[Tensor, ""]:
    """Return the batch mean of -sum_k targets_k log softmax(logits)_k.

    L_ace (Eq. 3): clean images, head `one`. L_mce: images mixed by lam alone, head `mix`. L_amce: images mixed by the
    generator, head `mix`; of the student in Eq. 3, of student and teacher in Eq. 4.
    """
    return F.cross_entropy(logits.float(), targets.float())


def cosine_agreement(
    mixed_logits: Float[Tensor, "B K"],
    clean_logits: Float[Tensor, "B K"],
    index: Int[Tensor, "N B"],
    lam: Float[Tensor, "B N"],
) -> Float[Tensor, ""]:
    """Return L_cosine (Eq. 4): the batch mean of sum_n lam_n cos(z_mix, z[index_n]), the teacher's `mix` logits.

    Args:
        mixed_logits: of the generator's mixed images.
        clean_logits: of the clean batch, in its own order.
    """
    others = clean_logits.float()[index.to(clean_logits.device)]  # [N,B,K]
    cosines = F.cosine_similarity(mixed_logits.float(), others, dim=-1)  # [N,B]
    return (lam.to(cosines).T * cosines).sum(dim=0).mean()


def mask_penalty(mask: Float[Tensor, "B 2 H W"], lam: Float[Tensor, "B 2"], margin: float = 0.1) -> Float[Tensor, ""]:
    """Return AutoMix's penalty on a mask whose area is not lam: max(|mean(mask_0) - lam_0| - margin, 0).

    AutoMix (ECCV 2022) and its released code: the mean is over the whole batch, and `margin` is free of charge.
    """
    area, share = mask[:, 0].float().mean(), lam[:, 0].to(mask.device).float().mean()
    return ((area - share).abs() - margin).clamp(min=0)
