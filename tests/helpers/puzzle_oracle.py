"""Exact minima of Puzzle Mix's labelling problem: by minimum cut of two labels, and by trying everything."""

import itertools

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import maximum_flow

SCALE = 10**7  # maximum_flow takes whole numbers


def edges(down, right):
    """Return (p, q, weight) of every edge, nodes counted row by row."""
    n = right.shape[0]
    vertical = [(r * n + c, (r + 1) * n + c, down[r, c]) for r in range(n - 1) for c in range(n)]
    horizontal = [(r * n + c, r * n + c + 1, right[r, c]) for r in range(n) for c in range(n - 1)]
    return vertical + horizontal


def by_minimum_cut(unary, down, right):
    """Return the least energy of a problem of two labels: the textbook graph, a vertex a node."""
    n = unary.shape[0]
    cost, least = unary.astype(np.float64).reshape(n * n, 2), unary.min(axis=-1).sum()
    source, sink = n * n, n * n + 1
    arcs = [(source, p, cost[p, 0] - cost[p].min()) for p in range(n * n)]
    arcs += [(p, sink, cost[p, 1] - cost[p].min()) for p in range(n * n)]
    for p, q, w in edges(down, right):
        arcs += [(p, q, w), (q, p, w)]
    start, end, capacity = zip(*arcs, strict=True)
    whole = np.round(np.array(capacity) * SCALE).astype(np.int32)
    graph = coo_matrix((whole, (start, end)), shape=(sink + 1, sink + 1)).tocsr()
    return maximum_flow(graph, source, sink).flow_value / SCALE + least


def by_trying_everything(unary, down, right):
    """Return the least energy of a small problem."""
    n, labels = unary.shape[0], unary.shape[-1]
    all_labels = np.array(list(itertools.product(range(labels), repeat=n * n)))
    total = unary.reshape(n * n, labels)[np.arange(n * n), all_labels].sum(axis=1)
    for p, q, w in edges(down, right):
        total = total + w * ((all_labels[:, p] - all_labels[:, q]) / (labels - 1)) ** 2
    return total.min()
