"""The exact minimum of Puzzle Mix's labelling problem, by minimum cut: slow, one image at a time, on the CPU.

The distance between labels is convex, so a cut through one chain of vertices a block finds the minimum for any number
of labels (Ishikawa, "Exact Optimization for Markov Random Fields with Convex Priors", PAMI 2003). The packages that the
literature uses are not free to use (gco: research only; PyMaxflow: GPL); SciPy's maximum flow is, and is exact too.
Maximum flow takes whole numbers, so costs are rounded to a millionth of the largest.
"""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from adautomix.methods.puzzlemix.solver import LabelProblem

LARGEST = 10**6
"""What the largest capacity is scaled to; the sum of a few hundred must fit into 32 bits."""


def solve_exactly(grid: LabelProblem) -> Int[Tensor, "B n n"]:
    """Return a labelling of least energy of every problem, on the problem's device."""
    unary, down, right = (part.double().cpu().numpy() for part in grid)
    labels = np.stack([_solve_one(*problem) for problem in zip(unary, down, right, strict=True)])
    return torch.from_numpy(labels).to(grid.unary.device)


def _solve_one(unary: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the labels [n,n] of one problem.

    Block p has a chain of L-1 vertices; (p,k) ends on the source's side if the label of p is above k. Cutting w between
    every (p,k) and (q,m), both ways, costs w ((a-b)^2 + a (L-1-a) + b (L-1-b)) for labels a and b: what is too much
    goes out of the unary costs.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    n, top = unary.shape[0], unary.shape[-1] - 1
    node, label = np.arange(n * n).reshape(n, n), np.arange(top + 1)
    before = np.concatenate([node[:-1].ravel(), node[:, :-1].ravel()])
    after = np.concatenate([node[1:].ravel(), node[:, 1:].ravel()])
    weight = np.concatenate([down.ravel(), right.ravel()]) / top**2
    cost = unary.reshape(n * n, -1).copy()
    for end in (before, after):
        np.subtract.at(cost, end, weight[:, None] * label * (top - label))
    cost -= cost.min(axis=1, keepdims=True)

    source, sink = n * n * top, n * n * top + 1
    vertex = node.reshape(-1, 1) * top + np.arange(top)  # [n*n, L-1]
    chain = np.pad(vertex, ((0, 0), (1, 1)), constant_values=((0, 0), (source, sink)))
    k, m = (part.ravel() for part in np.meshgrid(np.arange(top), np.arange(top)))
    one, other = vertex[before][:, k], vertex[after][:, m]
    never = cost.sum() + weight.sum() * top**2 + 1  # a chain is cut once only
    arcs = [(chain[:, :-1], chain[:, 1:], cost), (vertex[:, 1:], vertex[:, :-1], np.full(vertex[:, 1:].shape, never))]
    arcs += [(a, b, np.broadcast_to(weight[:, None], a.shape)) for a, b in ((one, other), (other, one))]
    start, end, capacity = (np.concatenate([part.ravel() for part in parts]) for parts in zip(*arcs, strict=True))
    scale = LARGEST / max(cost.max(), weight.max(initial=0.0), 1e-30)
    whole = np.minimum(np.round(capacity * scale), 2**30).astype(np.int32)
    graph = coo_array((whole, (start, end)), shape=(sink + 1, sink + 1)).tocsr()
    left = graph - maximum_flow(graph, source, sink).flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    reached = np.zeros(sink + 1, dtype=bool)
    reached[breadth_first_order(left, source, return_predecessors=False)] = True
    return reached[vertex].sum(axis=1).reshape(n, n)
