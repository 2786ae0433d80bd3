"""Puzzle Mix's transport: which blocks move where, and at what cost?"""

import pytest
import torch

from adautomix.methods.puzzlemix.method import PuzzleMix
from adautomix.methods.puzzlemix.transport import distances, move_blocks, transport, transport_cost


@pytest.mark.parametrize("side", [2, 4, 8, 16])
@pytest.mark.parametrize("eps", [0.0, 0.05, 0.8])
def test_transport_permutes_the_blocks_and_what_is_shown_costs_no_more_than_standing_still(side, eps):
    saliency, shown = random_transport(6, side)
    source = transport(saliency, shown, eps)
    assert torch.equal(source.sort(dim=1).values, torch.arange(side**2).expand(6, -1))
    cost, seen = transport_cost(saliency, shown, eps), shown.flatten(1)
    moved, still = cost.gather(1, source[:, None])[:, 0] * seen, cost.diagonal(dim1=1, dim2=2) * seen
    assert (moved.sum(dim=1) <= still.sum(dim=1) + 1e-6).all()
    assert eps == 0 or (moved <= still + 1e-6).all()
    assert (side, eps) == (2, 0.8) or (source != torch.arange(side**2)).any()  # there any move costs 0.8


def random_transport(batch, side):
    rng = torch.Generator().manual_seed(side)
    saliency = torch.rand(batch, side, side, generator=rng) ** 4
    shown = torch.rand(batch, side, side, generator=rng) < 0.5
    return saliency / saliency.sum(dim=(1, 2), keepdim=True), shown


@pytest.mark.parametrize("side", [2, 4, 8])
@pytest.mark.parametrize("eps", [0.05, 0.8])
def test_what_is_shown_is_what_blocks_that_propose_one_by_one_arrive_at(side, eps):
    saliency, shown = random_transport(5, side)
    source = transport(saliency, shown, eps)
    for b in range(5):
        expected = slow_places(transport_cost(saliency, shown, eps)[b].tolist())
        seen = shown[b].flatten()
        assert torch.equal(source[b][seen], torch.tensor(expected).argsort()[seen])


def slow_places(cost):
    """Gale and Shapley's algorithm, one proposal at a time."""
    free, asked, holder = list(range(len(cost))), [0] * len(cost), {}
    wishes = [sorted(range(len(row)), key=row.__getitem__) for row in cost]
    while free:
        block = free.pop()
        place = wishes[block][asked[block]]
        asked[block] += 1
        rival = holder.get(place)
        if rival is None or cost[block][place] < cost[rival][place]:
            holder[place], loser = block, rival
        else:
            loser = block
        free += [] if loser is None else [loser]
    places = {block: place for place, block in holder.items()}
    return [places[block] for block in range(len(cost))]


def test_transport_moves_the_salient_block_into_view():
    saliency = torch.tensor([[[0.9, 0.1], [0.0, 0.0]]])
    shown = torch.tensor([[[False, False], [True, False]]])
    assert transport(saliency, shown, eps=0.1).tolist() == [[2, 1, 0, 3]]  # gains 0.9, pays 2 * 0.1


def test_a_block_of_no_saliency_stays_where_it_is_shown_rather_than_be_replaced_by_chance():
    saliency = torch.tensor([[[0.0, 0.0], [0.0, 1.0]]])
    shown = torch.tensor([[[True, True], [False, True]]])
    assert transport(saliency, shown, eps=0.8).tolist() == [[0, 1, 2, 3]]


def test_moving_blocks_moves_whole_blocks_of_non_square_images():
    x = torch.arange(16.0).reshape(1, 1, 2, 8).expand(1, 3, 2, 8)
    moved = move_blocks(x, torch.tensor([[3, 1, 2, 0]]), 2)
    assert moved[0, 0].tolist() == [[12, 13, 14, 15, 4, 5, 6, 7], [8, 9, 10, 11, 0, 1, 2, 3]]


def test_the_longest_way_of_a_grid_counts_two():
    assert float(distances(4, torch.device("cpu"))[0, 15]) == 2.0


@pytest.mark.parametrize(
    ("px", "n", "t_size", "cells"), [(32, 2, 4, 4), (32, 16, 4, 1), (32, 4, -1, 1), (224, 2, 4, 8), (30, 2, 4, 3)]
)
def test_transport_moves_cells_of_t_size_where_they_fit(px, n, t_size, cells):
    assert PuzzleMix(t_size=t_size).cells_per_block(n, px, px) == cells
