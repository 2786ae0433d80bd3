"""Evaluators. Each takes a Classifier in eval mode and test batches, and changes neither. They never import `train`."""

from adautomix.lazy import LazyTable

EVALUATORS = LazyTable(
    "evaluator",
    "adautomix.evaluate",
    {
        "accuracy": "accuracy:evaluate",
    },
)
