"""Manifold mixup: at the input it is mixup, deeper it blends the hidden features, and the layer is drawn."""

from collections import Counter

import pytest
import torch
from helpers.tiny import TinyNet, tiny_batch, tiny_classifier

from adautomix.methods import make_method
from adautomix.methods.base import Draws
from adautomix.methods.context import Context
from adautomix.methods.manifoldmix import ManifoldMix, ManifoldMixDraws, blend_hidden
from adautomix.methods.ops.losses import soft_cross_entropy
from adautomix.models.backbones import build_backbone
from adautomix.models.classifier import Classifier
from adautomix.utils.errors import UserError

INDEX = torch.tensor([[0, 1, 2, 3], [2, 3, 1, 0]])
LAM = torch.tensor([[0.7, 0.3]]).expand(4, 2)


def test_at_the_input_it_equals_mixup(start):
    x, y = tiny_batch()
    ours, ctx = start("manifoldmix")
    theirs, other = start("mixup")
    a = ours.step(x, y, ctx, ManifoldMixDraws(INDEX, LAM, layer=0)).losses["student"]
    b = theirs.step(x, y, other, Draws(INDEX, LAM)).losses["student"]
    assert torch.equal(a, b)


def test_deeper_it_blends_the_features_of_the_layer(start):
    x, y = tiny_batch()
    method, ctx = start("manifoldmix")
    ctx.student.eval()
    loss = method.step(x, y, ctx, ManifoldMixDraws(INDEX, LAM, layer=1)).losses["student"]
    net = ctx.student.net
    hidden = net.body((x - ctx.student.mean) / ctx.student.std)
    mixed = torch.stack([0.7 * hidden[b] + 0.3 * hidden[INDEX[1, b]] for b in range(4)])
    logits = ctx.student.heads["one"](net.last(mixed).mean(dim=(2, 3)))
    targets = torch.eye(5)[y]
    expected = soft_cross_entropy(logits, 0.7 * targets + 0.3 * targets[INDEX[1]])
    torch.testing.assert_close(loss, expected)


def test_every_layer_is_drawn_and_draws_are_even():
    net, _ = build_backbone("resnet18", image_size=16, width=4)
    student = Classifier(net, 5, image_size=16)
    method, ctx = make_method("manifoldmix", student), Context.start(student, steps=1)
    assert method.stages == ("layer1", "layer2")
    seen = Counter(method.draw(2, ctx).layer for _ in range(300))
    assert set(seen) == {0, 1, 2}
    assert min(seen.values()) > 70
    for layer in range(3):
        out = method.step(
            torch.rand(2, 3, 16, 16), torch.arange(2), ctx, ManifoldMixDraws(INDEX[:, :2] % 2, LAM[:2], layer)
        )
        out.losses["student"].backward()


@pytest.mark.parametrize("shape", [(4, 7), (4, 5, 7), (4, 3, 2, 2)])
def test_features_of_any_layout_are_blended(shape):
    hidden = torch.rand(shape)
    torch.testing.assert_close(blend_hidden(hidden, INDEX, LAM), 0.7 * hidden + 0.3 * hidden[INDEX[1]])


def test_a_negative_number_of_layers_is_refused(student):
    with pytest.raises(UserError, match="layers must be zero or more, got -1"):
        make_method("manifoldmix", student, {"layers": -1})


def test_a_network_without_stages_is_refused_unless_images_alone_are_mixed():
    student = Classifier(TinyNet(), 5, image_size=8)
    with pytest.raises(UserError, match="give the Classifier a tap"):
        make_method("manifoldmix", student)
    assert make_method("manifoldmix", student, {"layers": 0}).stages == ()


def test_a_stage_that_no_pass_calls_is_refused():
    """timm names modules of CoaT as stages that its forward does not call: images would stay unmixed, labels not."""
    student = tiny_classifier()
    student.net.idle = torch.nn.Identity()
    student.stages = ("body", "idle")
    with pytest.raises(UserError, match=r"cannot mix at the stage 'idle': .* called 0 times"):
        ManifoldMix.build(student)
