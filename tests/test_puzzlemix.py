"""Puzzle Mix: the labelling against exact minima, the transport, and the method's own promises."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from conftest import CLASSES, tiny_batch, tiny_classifier
from puzzle_oracle import by_minimum_cut, by_trying_everything

from adautomix.errors import UserError
from adautomix.methods import make_method
from adautomix.methods.base import Context
from adautomix.methods.puzzle_exact import solve_exactly
from adautomix.methods.puzzle_solver import Grid, Skewed, energy, pass_ahead, pass_back, solve
from adautomix.methods.puzzle_terms import negative_log_binomial
from adautomix.methods.puzzle_transport import distances, move_blocks, transport, transport_cost
from adautomix.methods.puzzlemix import PuzzleDraws, PuzzleMix


def random_problem(batch, n, labels, seed, price=1.0):
    """A problem with random saliency, lam and seams, of the size Puzzle Mix has at its defaults (price 1)."""
    rng = torch.Generator().manual_seed(seed)
    saliency = torch.rand(2, batch, n, n, 1, generator=rng) ** 3
    first, second = saliency / saliency.sum(dim=(2, 3), keepdim=True)
    share = torch.linspace(0, 1, labels)
    prior = 0.2 * negative_log_binomial(torch.rand(batch, generator=rng), labels)[:, None, None] / n**2
    weight = price * 1.2 / (16 * n)
    down, right = (weight * (0.5 + torch.rand(batch, *size, generator=rng)) for size in ((n - 1, n), (n, n - 1)))
    return Grid(first * (1 - share) + second * share + prior, down, right)


def single(grid, b):
    return [part[b].numpy() for part in grid]


@pytest.mark.parametrize("price", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("labels", [2, 3, 4])
@pytest.mark.parametrize("n", [2, 4, 8, 16])
def test_the_energy_is_within_one_percent_of_the_exact_minimum(n, labels, price):
    grid = random_problem(8, n, labels, seed=n + labels, price=price)
    exact = energy(solve_exactly(grid), grid).double()
    found = energy(solve(grid), grid).double()
    assert (found >= exact - 1e-5).all()
    assert (found <= 1.01 * exact).all()


@pytest.mark.parametrize("labels", [2, 3, 4])
def test_the_bound_is_no_more_than_the_exact_minimum_and_comes_close(labels):
    grid = random_problem(6, 8, labels, seed=labels)
    exact = energy(solve_exactly(grid), grid).double()
    skewed = Skewed.of(grid)
    ahead, back = (torch.zeros_like(skewed.pair[:, :, :, 0]) for _ in range(2))
    for _ in range(30):
        pass_ahead(skewed, ahead, back)
        bound = pass_back(skewed, ahead, back).double()
        assert (bound <= exact + 1e-5).all()
    assert (bound >= 0.99 * exact).all()


def test_an_image_is_solved_alike_in_any_batch():
    grid = random_problem(12, 8, 3, seed=5)
    assert torch.equal(solve(grid)[4:6], solve(Grid(*(part[4:6] for part in grid))))


@pytest.mark.parametrize("labels", [2, 3, 4])
@pytest.mark.parametrize("price", [0.0, 1.0, 4.0])
def test_on_a_small_grid_nothing_is_better_than_what_is_found(labels, price):
    grid = random_problem(2, 3, labels, seed=labels, price=price)
    exact = [by_trying_everything(*single(grid, b)) for b in range(2)]
    np.testing.assert_allclose(energy(solve_exactly(grid), grid), exact, rtol=1e-5)
    np.testing.assert_allclose(energy(solve(grid), grid), exact, rtol=1e-2)


@pytest.mark.parametrize("n", [2, 8, 16])
def test_of_two_labels_the_exact_solver_finds_the_textbook_cut(n):
    grid = random_problem(4, n, 2, seed=n)
    exact = [by_minimum_cut(*single(grid, b)) for b in range(4)]
    np.testing.assert_allclose(energy(solve_exactly(grid), grid), exact, rtol=1e-4)


def test_energy_adds_up_by_hand():
    unary = torch.tensor([[[[1.0, 2, 4], [8, 16, 32]], [[64, 128, 256], [512, 1024, 2048]]]])
    grid = Grid(unary, torch.tensor([[[1.0, 10.0]]]), torch.tensor([[[100.0], [1000.0]]]))
    labels = torch.tensor([[[0, 1], [2, 2]]])
    assert energy(labels, grid).tolist() == [1 + 16 + 256 + 2048 + 1 + 10 / 4 + 100 / 4 + 0]


def test_the_problem_is_the_papers_for_two_labels_but_for_a_constant():
    """Against a slow sum over blocks and seams, for every mask of 2 x 2 blocks of non-square images."""
    rng = torch.Generator().manual_seed(3)
    x, saliency = torch.rand(2, 3, 8, 16, generator=rng), torch.rand(2, 8, 16, generator=rng)
    method, lam = PuzzleMix(n_labels=2, neigh_size=2), torch.tensor([[0.3, 0.7], [0.6, 0.4]])
    grid = method.problem(x, saliency, torch.tensor([1, 0]), lam, 2)
    masks = torch.tensor(list(product((0, 1), repeat=4))).view(-1, 2, 2)
    for b in range(2):
        found = energy(masks, Grid(*(part[b].expand(len(masks), *part[b].shape) for part in grid)))
        pair, maps = (x[b], x[1 - b]), (saliency[b], saliency[1 - b])
        expected = torch.tensor([slow_energy(pair, maps, mask, float(lam[b, 0])) for mask in masks])
        torch.testing.assert_close(found - found[0], expected - expected[0], rtol=1e-4, atol=1e-6)


def slow_energy(pair, maps, shows_first, lam, beta=1.2 / 32, gamma=0.5, eta=0.2):
    total = 0.0
    slot = [[0 if shows_first[r, c] else 1 for c in range(2)] for r in range(2)]
    for r, c in product(range(2), repeat=2):
        hidden = maps[1 - slot[r][c]]
        total += float(hidden[4 * r : 4 * r + 4, 8 * c : 8 * c + 8].sum() / hidden.sum())
        total -= eta / 4 * float(np.log(lam if slot[r][c] == 0 else 1 - lam))

    def seam(one, two, before, after):
        differences = []
        for (r, c), (s, t) in zip(before, after, strict=True):  # squares of 2 x 2 px
            means = [pair[k][:, i : i + 2, j : j + 2].mean(dim=(1, 2)) for k, i, j in ((one, r, c), (two, s, t))]
            differences.append(float((means[0] - means[1]).abs().mean()))
        return beta * ((one != two) + gamma * float(np.mean(differences)))

    for k in range(2):
        columns, rows = range(8 * k, 8 * k + 8, 2), range(4 * k, 4 * k + 4, 2)
        total += seam(slot[0][k], slot[1][k], [(2, j) for j in columns], [(4, j) for j in columns])
        total += seam(slot[k][0], slot[k][1], [(i, 6) for i in rows], [(i, 8) for i in rows])
    return total


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


def test_distances_are_made_once_a_grid():
    assert distances(4, torch.device("cpu")) is distances(4, torch.device("cpu"))
    assert float(distances(4, torch.device("cpu"))[0, 15]) == 2.0


@pytest.fixture
def ctx():
    return Context.start(tiny_classifier(), steps=10)


@pytest.mark.parametrize("blocks", [2, 4, 8, 16])
@pytest.mark.parametrize("options", [{}, {"transport": False}, {"per_sample": True, "n_labels": 4}, {"t_size": -1}])
def test_masks_sum_to_one_and_labels_follow_their_areas(ctx, blocks, options):
    method, (x, y) = PuzzleMix(**options), tiny_batch(6, 16)
    before = x.clone()
    mixed = method.mix(x, y, ctx, replace(method.draw(6, ctx), blocks=blocks))
    torch.testing.assert_close(mixed.mask.sum(dim=1), torch.ones(6, 16, 16))
    torch.testing.assert_close(mixed.lam, mixed.mask.mean(dim=(2, 3)))
    steps = mixed.mask * (method.n_labels - 1)
    torch.testing.assert_close(steps, steps.round())
    assert torch.equal(x, before)
    if not method.transport:
        expected = mixed.mask[:, :1] * x + mixed.mask[:, 1:] * x[mixed.index[1]]
        torch.testing.assert_close(mixed.x, expected)


def test_transport_changes_the_images_but_not_the_label(ctx):
    x, y = tiny_batch(6, 16)
    draws = replace(PuzzleMix().draw(6, ctx), lam=torch.full((6, 2), 0.5), blocks=8)
    moved, fixed = (PuzzleMix(transport=on, t_eps=0.05).mix(x, y, ctx, draws) for on in (True, False))
    assert torch.equal(moved.y, fixed.y)
    assert not torch.equal(moved.x, fixed.x)


def test_both_solvers_give_nearly_the_same_masks_and_trws_is_the_default(ctx):
    x, y = tiny_batch(6, 16)
    draws = replace(PuzzleMix().draw(6, ctx), lam=torch.full((6, 2), 0.5), blocks=8)
    fast, exact = (PuzzleMix(solver=name).mix(x, y, ctx, draws) for name in ("trws", "exact"))
    assert (fast.mask - exact.mask).abs().mean() < 0.1
    assert make_method("puzzlemix", ctx.student).solver == "trws"


def test_an_extreme_lam_shows_one_image_alone(ctx):
    x, y = tiny_batch(4, 16)
    draws = PuzzleDraws(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), torch.tensor([[1.0, 0.0]]).expand(4, 2), 4)
    mixed = PuzzleMix().mix(x, y, ctx, draws)
    torch.testing.assert_close(mixed.lam[:, 0], torch.ones(4))


def test_every_number_of_blocks_up_to_the_largest_is_drawn(ctx):
    drawn = [PuzzleMix(max_blocks=8).draw(2, ctx).blocks for _ in range(60)]
    assert set(drawn) == {2, 4, 8}


@pytest.mark.parametrize(
    ("size", "used"), [((32, 32), 16), ((8, 8), 8), ((24, 32), 8), ((30, 30), 2), ((224, 160), 16)]
)
def test_blocks_are_as_many_as_the_image_allows(size, used):
    assert PuzzleMix.grid(16, torch.zeros(1, 3, *size)) == used


def test_non_square_images_are_mixed(ctx):
    x, y = torch.rand(4, 3, 16, 24, generator=torch.Generator().manual_seed(0)), torch.arange(4) % CLASSES
    method = PuzzleMix()
    mixed = method.mix(x, y, ctx, replace(method.draw(4, ctx), blocks=8))
    assert mixed.mask.shape == (4, 2, 16, 24)


def test_images_that_cannot_be_cut_are_refused(ctx):
    method, y = PuzzleMix(), torch.arange(2)
    with pytest.raises(UserError, match="not possible at 15x16 px"):
        method.mix(torch.rand(2, 3, 15, 16), y, ctx, method.draw(2, ctx))


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_useless_saliency_still_gives_an_image(ctx, bad):
    x, y = tiny_batch(4, 16)
    method = PuzzleMix()
    mixed = method.mix_salient(x, ctx.targets(y), torch.full((4, 16, 16), bad), method.draw(4, ctx))
    assert mixed.x.isfinite().all()


@pytest.mark.parametrize(
    ("px", "n", "t_size", "cells"), [(32, 2, 4, 4), (32, 16, 4, 1), (32, 4, -1, 1), (224, 2, 4, 8), (30, 2, 4, 3)]
)
def test_transport_moves_cells_of_t_size_where_they_fit(px, n, t_size, cells):
    assert PuzzleMix(t_size=t_size).cells_per_block(n, px, px) == cells


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_labels": 5},
        {"max_blocks": 3},
        {"gamma": 1.5},
        {"eta": -0.1},
        {"neigh_size": 0},
        {"t_size": 0},
        {"solver": "gco"},
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(UserError):
        PuzzleMix(**wrong)
