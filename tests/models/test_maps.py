"""Taps of somebody else's network: are tokens, channels-last maps and objects read as the maps they are?"""

from types import SimpleNamespace

import pytest
import torch
from helpers.tiny import CLASSES
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from adautomix import AdAutoMix, Classifier, Context, UserError
from adautomix.models.maps import Layout, grid_of


def vit(size=16, **options):
    """Return timm's ViT: patches of 4 px, 8 channels."""
    torch.manual_seed(0)
    small = {"patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2, "num_classes": 0}
    return VisionTransformer(img_size=size, **small | options).eval()


def hooked(net, name, x):
    seen = []
    hook = net.get_submodule(name).register_forward_hook(lambda module, inputs, output: seen.append(output))
    net(x)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize("tap", ["norm", "blocks.1.mlp"])
@pytest.mark.parametrize("size", [16, (16, 24)])
@pytest.mark.parametrize("options", [{}, {"reg_tokens": 4}, {"class_token": False, "global_pool": "avg"}], ids=str)
def test_a_token_is_where_its_patch_is(tap, size, options):
    net = vit(size, **options)
    model = Classifier(net, CLASSES, tap=tap, image_size=size, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)).eval()
    h, w = (4, 4) if size == 16 else (4, 6)
    assert model.tap_shape == (8, h, w)
    x = torch.rand(3, 3, 4 * h, 4 * w)
    tokens, found = hooked(net, tap, x), model(x, tap=True).tap
    prefix = tokens.shape[1] - h * w
    for i in range(h):
        for j in range(w):
            assert torch.equal(found[:, :, i, j], tokens[:, prefix + i * w + j])


def test_adautomix_trains_on_a_vits_tokens():
    student = Classifier(vit(), CLASSES, tap="norm", heads=("one", "mix"), image_size=16).train()
    method, ctx = AdAutoMix.build(student), Context.start(student, steps=2)
    out = method.step(torch.rand(4, 3, 16, 16), torch.arange(4), ctx)
    sum(out.losses.values()).backward()
    assert out.mixed[0].mask.shape == (4, 3, 16, 16)
    assert all(p.grad is not None for p in method.generator.parameters())


class Tokens(nn.Module):
    """Nothing timm knows: 4 x 4 patches after `prefix` tokens, from images of 8 px."""

    def __init__(self, prefix):
        super().__init__()
        self.patches, self.prefix, self.last = nn.Conv2d(3, 5, 2, 2), prefix, nn.Identity()

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.last(torch.cat([tokens.new_zeros(len(x), self.prefix, 5), tokens], dim=1)).mean(dim=1)


@pytest.mark.parametrize(("prefix", "grid"), [(0, None), (1, None), (5, (4, 4)), (0, (2, 8))])
def test_a_grid_is_found_or_told(prefix, grid):
    net = Tokens(prefix)
    model = Classifier(net, CLASSES, tap="last", tap_grid=grid, image_size=8)
    x = torch.rand(2, 3, 8, 8)
    h, w = grid or (4, 4)
    assert torch.equal(model(x, tap=True).tap, net.patches(model._normalise(x)).reshape(2, 5, h, w))


class Last(nn.Module):
    """Maps with the channels last, 6 x 6 of 5 channels."""

    def __init__(self):
        super().__init__()
        self.body, self.turned = nn.Conv2d(3, 5, 3), nn.Identity()

    def forward(self, x):
        return self.turned(self.body(x).permute(0, 2, 3, 1)).mean(dim=(1, 2))


@pytest.mark.parametrize("size", [8, (8, 5)])
def test_a_map_with_the_channels_last_is_turned(size):
    model = Classifier(Last(), CLASSES, tap="turned", tap_grid=None if size == 8 else (6, 3), image_size=size)
    x = torch.rand(2, 3, 8, 8 if size == 8 else 5)
    assert torch.equal(model(x, tap=True).tap, model.net.body(model._normalise(x)))


class Wrapped(nn.Module):
    """As transformers' models: objects and tuples in place of tensors."""

    def __init__(self):
        super().__init__()
        self.embed, self.layer = Tokens(1), Layer()

    def forward(self, x):
        hidden = self.layer(self.embed.patches(x).flatten(2).transpose(1, 2))[0]
        return SimpleNamespace(last_hidden_state=hidden, pooler_output=hidden.mean(dim=1))


class Layer(nn.Module):
    def forward(self, hidden):
        return hidden * 2, None


def test_objects_and_tuples_are_opened():
    model = Classifier(Wrapped(), CLASSES, tap="layer", image_size=8)
    out = model(torch.rand(2, 3, 8, 8), tap=True)
    assert out.tap.shape == (2, 5, 4, 4)
    torch.testing.assert_close(out.logits["one"], model.heads["one"](out.tap.mean(dim=(2, 3))))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Classifier(Tokens(3), 3, tap="last", image_size=8), r"19 tokens of 8x8 px form no grid.*tap_grid="),
        (lambda: Classifier(Tokens(1), 3, tap="last", tap_grid=(5, 5), image_size=8), "17 tokens"),
        (lambda: Classifier(nn.Flatten(), 3, tap="", image_size=8), r"\[2, 192\] is no map"),
        (lambda: Classifier(Uncalled(), 3, tap="spare", image_size=8), "the network does not call it"),
        (lambda: Classifier(Odd(), 3, tap="body", image_size=8), "str is no tensor"),
    ],
)
def test_what_is_no_map_is_refused_when_the_classifier_is_made(make, message):
    with pytest.raises(UserError, match=message):
        make()


class Uncalled(nn.Module):
    def __init__(self):
        super().__init__()
        self.spare = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return x


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Says()

    def forward(self, x):
        self.body(x)
        return x


class Says(nn.Module):
    def forward(self, x):
        return "no"


@pytest.mark.parametrize(
    ("tokens", "proportions", "grid"),
    [(16, (8, 8), (4, 4)), (24, (64, 96), (4, 6)), (24, (96, 64), (6, 4)), (15, (8, 8), None), (0, (8, 8), None)],
)
def test_the_grid_of_a_number_of_tokens(tokens, proportions, grid):
    assert grid_of(tokens, proportions) == grid


def test_a_layout_that_is_known_is_not_guessed():
    known = Layout(channels_last=False)
    assert known.found_in(torch.zeros(2, 8, 4, 4), (16, 16)) == known
