"""Puzzle Mix's labelling: how close is it to exact minima, and is the energy the paper's?"""

from itertools import product

import numpy as np
import pytest
import torch
from helpers.puzzle_oracle import by_minimum_cut, by_trying_everything

from adautomix.methods.puzzlemix.exact import solve_exactly
from adautomix.methods.puzzlemix.method import PuzzleMix
from adautomix.methods.puzzlemix.solver import LabelProblem, Skewed, label_energy, pass_ahead, pass_back, solve_labels
from adautomix.methods.puzzlemix.terms import negative_log_binomial


def random_problem(batch, n, labels, seed, price=1.0):
    """A problem with random saliency, lam and seams, of the size Puzzle Mix has at its defaults (price 1)."""
    rng = torch.Generator().manual_seed(seed)
    saliency = torch.rand(2, batch, n, n, 1, generator=rng) ** 3
    first, second = saliency / saliency.sum(dim=(2, 3), keepdim=True)
    share = torch.linspace(0, 1, labels)
    prior = 0.2 * negative_log_binomial(torch.rand(batch, generator=rng), labels)[:, None, None] / n**2
    weight = price * 1.2 / (16 * n)
    down, right = (weight * (0.5 + torch.rand(batch, *size, generator=rng)) for size in ((n - 1, n), (n, n - 1)))
    return LabelProblem(first * (1 - share) + second * share + prior, down, right)


def single(grid, b):
    return [part[b].numpy() for part in grid]


@pytest.mark.parametrize("price", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("labels", [2, 3, 4])
@pytest.mark.parametrize("n", [2, 4, 8, 16])
def test_the_energy_is_within_one_percent_of_the_exact_minimum(n, labels, price):
    grid = random_problem(8, n, labels, seed=n + labels, price=price)
    exact = label_energy(solve_exactly(grid), grid).double()
    found = label_energy(solve_labels(grid), grid).double()
    assert (found >= exact - 1e-5).all()
    assert (found <= 1.01 * exact).all()


@pytest.mark.parametrize("labels", [2, 3, 4])
def test_the_bound_is_no_more_than_the_exact_minimum_and_comes_close(labels):
    grid = random_problem(6, 8, labels, seed=labels)
    exact = label_energy(solve_exactly(grid), grid).double()
    skewed = Skewed.of(grid)
    ahead, back = (torch.zeros_like(skewed.pair[:, :, :, 0]) for _ in range(2))
    for _ in range(30):
        pass_ahead(skewed, ahead, back)
        bound = pass_back(skewed, ahead, back).double()
        assert (bound <= exact + 1e-5).all()
    assert (bound >= 0.99 * exact).all()


def test_an_image_is_solved_alike_in_any_batch():
    grid = random_problem(12, 8, 3, seed=5)
    assert torch.equal(solve_labels(grid)[4:6], solve_labels(LabelProblem(*(part[4:6] for part in grid))))


@pytest.mark.parametrize("labels", [2, 3, 4])
@pytest.mark.parametrize("price", [0.0, 1.0, 4.0])
def test_on_a_small_grid_nothing_is_better_than_what_is_found(labels, price):
    grid = random_problem(2, 3, labels, seed=labels, price=price)
    exact = [by_trying_everything(*single(grid, b)) for b in range(2)]
    np.testing.assert_allclose(label_energy(solve_exactly(grid), grid), exact, rtol=1e-5)
    np.testing.assert_allclose(label_energy(solve_labels(grid), grid), exact, rtol=1e-2)


@pytest.mark.parametrize("n", [2, 8, 16])
def test_of_two_labels_the_exact_solver_finds_the_textbook_cut(n):
    grid = random_problem(4, n, 2, seed=n)
    exact = [by_minimum_cut(*single(grid, b)) for b in range(4)]
    np.testing.assert_allclose(label_energy(solve_exactly(grid), grid), exact, rtol=1e-4)


def test_energy_adds_up_by_hand():
    unary = torch.tensor([[[[1.0, 2, 4], [8, 16, 32]], [[64, 128, 256], [512, 1024, 2048]]]])
    grid = LabelProblem(unary, torch.tensor([[[1.0, 10.0]]]), torch.tensor([[[100.0], [1000.0]]]))
    labels = torch.tensor([[[0, 1], [2, 2]]])
    assert label_energy(labels, grid).tolist() == [1 + 16 + 256 + 2048 + 1 + 10 / 4 + 100 / 4 + 0]


def test_the_problem_is_the_papers_for_two_labels_but_for_a_constant():
    """Against a slow sum over blocks and seams, for every mask of 2 x 2 blocks of non-square images."""
    rng = torch.Generator().manual_seed(3)
    x, saliency = torch.rand(2, 3, 8, 16, generator=rng), torch.rand(2, 8, 16, generator=rng)
    method, lam = PuzzleMix(n_labels=2, neigh_size=2), torch.tensor([[0.3, 0.7], [0.6, 0.4]])
    grid = method.problem(x, saliency, torch.tensor([1, 0]), lam, 2)
    masks = torch.tensor(list(product((0, 1), repeat=4))).view(-1, 2, 2)
    for b in range(2):
        found = label_energy(masks, LabelProblem(*(part[b].expand(len(masks), *part[b].shape) for part in grid)))
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
