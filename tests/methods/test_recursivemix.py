"""RecursiveMix: the last mixed batch in a box, with its labels, and the consistency of what is said of it."""

import math

import pytest
import torch
import torch.nn.functional as F
from helpers.tiny import CLASSES, tiny_batch, tiny_classifier
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torchvision.ops import roi_align

from adautomix import Classifier, Context, UserError, make_method
from adautomix.methods import RecursiveMixDraws
from adautomix.methods.recursivemix import boxed_features
from adautomix.models.backbones import build_backbone
from adautomix.models.maps import Layout


def slow(x, targets, old, old_targets, sides, centres):
    """Paste one by one, as the released code does: int(W r) pixels, half of them on each side, clipped."""
    images, labels, boxes = x.clone(), targets.clone(), []
    height, width = x.shape[2:]
    for b in range(len(x)):
        r, (v, u) = float(sides[min(b, len(sides) - 1)]), centres[min(b, len(centres) - 1)].tolist()
        row, column = int(v * height), int(u * width)
        top, bottom = max(row - int(height * r) // 2, 0), min(row + int(height * r) // 2, height)
        left, right = max(column - int(width * r) // 2, 0), min(column + int(width * r) // 2, width)
        source = b % len(old)
        if bottom > top and right > left:
            size = (bottom - top, right - left)
            small = F.interpolate(old[source : source + 1], size=size, mode="bilinear", align_corners=False)
            images[b, :, top:bottom, left:right] = small[0]
        share = (bottom - top) * (right - left) / (height * width)
        labels[b] = (1 - share) * targets[b] + share * old_targets[source]
        boxes.append((left, top, right, bottom, share))
    return images, labels, boxes


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("size", [8, 13])
def test_three_steps_equal_a_loop_and_carry_their_ancestors(start, per_sample, size):
    method, ctx = start("recursivemix", per_sample=per_sample)
    old = None
    for turn, batch in enumerate((4, 6, 3)):  # a history shorter than the batch, and a longer one
        x, y = tiny_batch(batch, size)
        x, y = x.roll(turn, dims=2), y.roll(turn)
        targets = F.one_hot(y, CLASSES).float()
        out = method.step(x, y, ctx)
        drawn, mixed = out.draws, out.mixed[0]
        images, labels = x, targets
        if old is not None:
            images, labels, boxes = slow(x, targets, *old, drawn.side, drawn.centre)
            torch.testing.assert_close(mixed.lam[:, 1], torch.tensor([box[-1] for box in boxes]))
        torch.testing.assert_close(mixed.x, images)
        torch.testing.assert_close(mixed.y, labels)
        method.load_state_dict(out.state)
        old = mixed.x, mixed.y
    assert (mixed.y > 0).sum(dim=1).max() > 2


def test_boxes_are_as_large_as_promised(start):
    method, ctx = start("recursivemix", per_sample=True, alpha=0.5)
    area = method.draw(20000, ctx).side.square()
    assert area.max() <= 0.5
    assert abs(float(area.mean()) - 0.25) < 4 * 0.5 / math.sqrt(12 * 20000)


def draws(sides, centres):
    return RecursiveMixDraws(None, None, torch.tensor(sides), torch.tensor(centres))


def test_the_consistency_is_the_second_heads_view_of_the_box_against_what_was_said(start):
    method, ctx = start("recursivemix", omega=0.3, per_sample=True)
    ctx.student.eval()
    x, y = tiny_batch(4)
    first = method.step(x, y, ctx)
    assert set(first.terms) == {"ce"}
    method.load_state_dict(first.state)
    out = method.step(1 - x, y, ctx, draws([0.5, 0.6, 0.7, 0.3], [[0.5, 0.5], [0.2, 0.7], [0.9, 0.1], [0.4, 0.4]]))
    student, mixed = ctx.student, out.mixed[0]
    with torch.no_grad():
        said = student(first.mixed[0].x).logits["one"].softmax(dim=1)
        maps = student.net(student._normalise(mixed.x))  # 4 x 4 for 8 px
        *_, boxes = slow(1 - x, F.one_hot(y, CLASSES).float(), x, said, out.draws.side, out.draws.centre)
        expected = 0.0
        for b, (*box, share) in enumerate(boxes):
            corners = torch.tensor([[float(b), *map(float, box)]])
            seen = student.heads["mix"](roi_align(maps, corners, 1, 0.5, aligned=True).flatten(1))
            expected += 0.3 * share * -(said[b] * seen[0].log_softmax(dim=0)).sum() / 4
        plain = F.cross_entropy(student(mixed.x).logits["one"], mixed.y)
    torch.testing.assert_close(out.terms["consistency"], expected)
    torch.testing.assert_close(out.terms["ce"], plain)  # the second batch of features leaves the first alone
    torch.testing.assert_close(out.losses["student"].detach(), plain + expected)


def test_a_box_that_is_the_image_holds_the_mean_of_its_map():
    box, rng = torch.tensor([[0, 8, 0, 8]]), torch.Generator().manual_seed(0)
    maps = torch.rand(2, 5, 4, 4, generator=rng)
    mean = maps.mean(dim=(2, 3))
    for features, layout in (
        (maps, Layout()),
        (maps.permute(0, 2, 3, 1), Layout(channels_last=True)),
        (torch.cat([torch.zeros(2, 1, 5), maps.flatten(2).transpose(1, 2)], dim=1), Layout(prefix=1)),
    ):
        filled = boxed_features(features, box, (8, 8), layout)
        assert filled.shape == features.shape
        torch.testing.assert_close(layout.found_in(filled, (8, 8)).to_map(filled, (8, 8)).mean(dim=(2, 3)), mean)


@pytest.mark.parametrize(
    "make",
    [
        lambda: build_backbone("resnet18", image_size=16, width=4)[0],
        lambda: VisionTransformer(img_size=16, patch_size=4, embed_dim=8, depth=2, num_heads=2, num_classes=0),
    ],
    ids=["resnet", "vit"],
)
def test_the_last_features_of_timms_networks_are_found(make):
    student = Classifier(make(), CLASSES, heads=("one", "mix"), image_size=16).train()
    method, ctx = make_method("recursivemix", student), Context.start(student, steps=2)
    for _ in range(2):
        out = method.step(*tiny_batch(4, 16), ctx)
        method.load_state_dict(out.state)
    out.losses["student"].backward()
    assert student.heads["mix"].weight.grad.abs().sum() > 0


def test_a_network_that_gives_no_map_is_told_to_do_without():
    flat = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    student = Classifier(flat, CLASSES, heads=("one", "mix"), image_size=8)
    with pytest.raises(UserError, match=r"the network gives pooled features: do without it, omega=0, or leave"):
        make_method("recursivemix", student)
    method, ctx = make_method("recursivemix", student, {"omega": 0.0}), Context.start(student, steps=2)
    for _ in range(2):
        out = method.step(*tiny_batch(), ctx)
        method.load_state_dict(out.state)
        assert set(out.terms) == {"ce"}
    with pytest.raises(UserError, match=r"the network gives \[2, 3\] is no map.*omega=0"):
        boxed_features(torch.rand(2, 3), torch.tensor([[0, 8, 0, 8]]), (8, 8), Layout())


def test_images_of_another_size_begin_anew(start):
    method, ctx = start("recursivemix")
    method.load_state_dict(method.step(*tiny_batch(4, 8), ctx).state)
    out = method.step(*tiny_batch(4, 12), ctx)
    assert out.mixed[0].lam.shape == (4, 1)
    assert torch.equal(out.mixed[0].x, tiny_batch(4, 12)[0])


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"alpha": 1.5}, {"omega": -1.0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(UserError, match=r"alpha must be in \(0,1\]"):
        make_method("recursivemix", tiny_classifier(), options)


def test_a_batch_norm_behind_the_last_stage_is_refused_unless_there_is_no_consistency_loss():
    """Features sent on twice would move its statistics, and with them the logits of the images themselves."""
    net, _ = build_backbone("mobilenetv2_050", image_size=32)
    student = Classifier(net, 5, heads=("one", "mix"), image_size=32)
    with pytest.raises(UserError, match=r"BatchNorm 'bn2' behind it .* omega=0"):
        make_method("recursivemix", student)
    assert make_method("recursivemix", student, {"omega": 0.0}).omega == 0


def test_boxes_of_large_batches_in_bfloat16_are_those_of_their_own_images():
    """bfloat16 counts to 256: with more images boxes were read from others, and beyond the batch."""
    maps = torch.arange(300, dtype=torch.float32)[:, None, None, None].expand(300, 2, 4, 4).contiguous()
    box = torch.tensor([[0, 8, 0, 8]])
    layout = Layout(channels_last=False)
    wanted = boxed_features(maps, box, (16, 16), layout)
    assert torch.equal(wanted[:, 0, 0, 0], maps[:, 0, 0, 0])
    assert torch.equal(boxed_features(maps.bfloat16(), box, (16, 16), layout), wanted.bfloat16())


@pytest.mark.parametrize(("size", "grid"), [((64, 36), (2, 2)), ((96, 40), (3, 2)), ((40, 96), (2, 3))])
def test_a_box_of_an_image_that_is_not_square_lies_where_it_lies_on_the_map(size, grid):
    """Layers of stride 32 round up: a row of the map is not as many px as a column."""
    maps = torch.zeros(1, 1, *grid)
    maps[0, 0, -1, -1] = 1.0
    corner = torch.tensor([[size[0] * (grid[0] - 1) // grid[0], size[0], size[1] * (grid[1] - 1) // grid[1], size[1]]])
    assert boxed_features(maps, corner, size, Layout()).flatten().tolist() == pytest.approx(
        [1.0] * maps.numel(), abs=0.1
    )
    assert boxed_features(torch.ones(1, 1, *grid), corner, size, Layout()).min() == 1
