"""Evaluators. Each takes a Classifier in eval mode and test batches, and changes neither. They never import `train`."""

from adautomix.lazy import LazyTable

EVALUATORS = LazyTable(
    "evaluator",
    "adautomix.evaluate",
    {
        "accuracy": "accuracy:evaluate",
        "calibration": "calibration:evaluate",
        "corruption": "corrupted:evaluate",
        "fgsm": "attacks:evaluate",
        "pgd": "attacks:evaluate_pgd",
        "occlusion": "occlusion:evaluate",
        "released": "released:evaluate",
    },
)
