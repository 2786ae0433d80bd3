"""The paper's terms: are mask penalty, cross-entropy and cosine agreement right where one knows the value?"""

import pytest
import torch

from adautomix.methods.ops.losses import cosine_agreement, mask_penalty, soft_cross_entropy


def test_mask_penalty_is_zero_within_its_margin_and_grows_beyond():
    mask = torch.stack([torch.full((2, 4, 4), 0.3), torch.full((2, 4, 4), 0.7)], dim=1)
    penalties = [mask_penalty(mask, torch.tensor([[lam, 1 - lam]]).expand(2, 2)).item() for lam in (0.3, 0.38, 0.6)]
    assert penalties[:2] == [0.0, 0.0]
    assert penalties[2] == pytest.approx(0.2, abs=1e-6)


def test_losses_are_computed_in_float32_whatever_the_logits_precision():
    logits = torch.tensor([[100.0, 99.5, 98.0]]).bfloat16()
    targets = torch.tensor([[0.2, 0.3, 0.5]])
    exact = -(targets * logits.float().log_softmax(dim=1)).sum()
    loss = soft_cross_entropy(logits, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact)
    index, lam = torch.tensor([[0]]), torch.ones(1, 1)
    assert cosine_agreement(logits, logits, index, lam).dtype == torch.float32


def test_cosine_agreement_of_identical_logits_is_one():
    logits, index = torch.randn(4, 5), torch.arange(4).repeat(3, 1)
    assert cosine_agreement(logits, logits, index, torch.full((4, 3), 1 / 3)).item() == pytest.approx(1.0)
