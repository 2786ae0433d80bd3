"""Modes and passes: are submodules left as they were, and every pass of BatchNorm counted?"""

import copy

import pytest
import torch
from torch import nn

from adautomix.models.modes import buffers_kept, eval_mode, passes_counted_at_once, unwrapped


@pytest.fixture
def net():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm2d(4), nn.BatchNorm2d(4)))


def test_a_frozen_batchnorm_stays_frozen(net):
    net[2].eval()
    with eval_mode(net):
        assert not any(m.training for m in net.modules())
    assert net[1].training
    assert not net[2][0].training


def test_every_layers_passes_are_counted_as_by_itself(net):
    net[2][1].momentum = None  # averages by its own count
    x = torch.rand(4, 3, 2, 2)
    expected = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm2d(4), nn.BatchNorm2d(4)))
    expected.load_state_dict(net.state_dict())
    expected[2][1].momentum = None
    for counted, context in ((expected, None), (net, passes_counted_at_once(net))):
        with context or torch.enable_grad():
            counted(x)
            counted(2 * x)
            counted[1](x.expand(4, 3, 2, 2).repeat(1, 2, 1, 1)[:, :4])  # a layer used once more than the others
    ours = net.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in expected.state_dict().items())
    assert [int(ours[f"{name}.num_batches_tracked"]) for name in ("1", "2.0", "2.1")] == [3, 2, 2]


def test_a_pass_that_fails_leaves_the_counts_in_place(net):
    with pytest.raises(RuntimeError), passes_counted_at_once(net):
        net(torch.rand(4, 5, 2, 2))
    assert "1.num_batches_tracked" in net.state_dict()


def test_a_network_is_found_in_its_wrappers():
    for net in (nn.Sequential(), nn.Linear(2, 1)):  # an empty Sequential is false
        assert unwrapped(net) is net
        assert unwrapped(nn.DataParallel(net)) is net
        assert unwrapped(torch.compile(nn.DataParallel(torch.compile(net)))) is net


def test_whoever_walks_the_buffers_in_between_finds_tensors(net):
    x = torch.rand(4, 3, 2, 2)
    with passes_counted_at_once(net):
        net(x)
        copied = copy.deepcopy(net)
        kept = net.state_dict()["1.num_batches_tracked"].clone()
        with buffers_kept(net):
            net(x)
        net(x)
    assert int(kept) == int(copied[1].num_batches_tracked) == 1
    assert isinstance(copied[1].num_batches_tracked, torch.Tensor)
    assert int(net[1].num_batches_tracked) == 2
