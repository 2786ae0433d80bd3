"""Exact minima of Puzzle Mix's labelling problem, one problem at a time: by minimum cut, and by trying everything."""

import itertools

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import maximum_flow

SCALE = 10**7  # maximum_flow takes whole numbers
NEVER = 50.0  # more than any problem here can cost


def edges(down, right):
    """Return (p, q, weight) of every edge, nodes counted row by row."""
    n = right.shape[0]
    vertical = [(r * n + c, (r + 1) * n + c, down[r, c]) for r in range(n - 1) for c in range(n)]
    horizontal = [(r * n + c, r * n + c + 1, right[r, c]) for r in range(n) for c in range(n - 1)]
    return vertical + horizontal


def by_minimum_cut(unary, down, right):
    """Return the least energy. Node p has L-1 vertices, (p,k) on the source's side if its label is k or more.

    Cutting w between every (p,k) and (q,l), both ways, costs w((a-b)^2 + a(L-1-a) + b(L-1-b)) for labels a and b,
    so what is too much goes out of the unary costs: for two labels nothing.
    """
    n, top = unary.shape[0], unary.shape[-1] - 1
    cost, label = unary.astype(np.float64).reshape(n * n, -1).copy(), np.arange(top + 1)
    pairs = [(p, q, w / top**2) for p, q, w in edges(down, right)]
    for p, q, w in pairs:
        cost[[p, q]] -= w * label * (top - label)
    least = cost.min(axis=1)
    source, sink = n * n * top, n * n * top + 1
    arcs = []
    for p in range(n * n):
        chain = [source, *range(p * top, (p + 1) * top), sink]
        arcs += [(chain[a], chain[a + 1], cost[p, a] - least[p]) for a in label]
        arcs += [(chain[a + 1], chain[a], NEVER) for a in label[1:-1]]
    for p, q, w in pairs:
        for k, m in itertools.product(range(top), repeat=2):
            arcs += [(p * top + k, q * top + m, w), (q * top + m, p * top + k, w)]
    start, end, capacity = zip(*arcs, strict=True)
    whole = np.round(np.array(capacity) * SCALE).astype(np.int32)
    graph = coo_matrix((whole, (start, end)), shape=(sink + 1, sink + 1)).tocsr()
    return maximum_flow(graph, source, sink).flow_value / SCALE + least.sum()


def by_trying_everything(unary, down, right):
    """Return the least energy of a small problem."""
    n, labels = unary.shape[0], unary.shape[-1]
    all_labels = np.array(list(itertools.product(range(labels), repeat=n * n)))
    total = unary.reshape(n * n, labels)[np.arange(n * n), all_labels].sum(axis=1)
    for p, q, w in edges(down, right):
        total = total + w * ((all_labels[:, p] - all_labels[:, q]) / (labels - 1)) ** 2
    return total.min()
