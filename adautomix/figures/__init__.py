"""Figures of the workbook: arrays, tables and Runs in, matplotlib axes out. One look, one colour a method.

Nothing here imports torch; images may be tensors or arrays [3,H,W] in [0,1].
"""

from adautomix.figures.ablation import ablation_panels
from adautomix.figures.curves import learning_curves, run_curves, term_curves
from adautomix.figures.framework import framework
from adautomix.figures.paper import paper_panels, rule_offsets
from adautomix.figures.pictures import image_row, label_text, picture_grid
from adautomix.figures.results import accuracy_bars, per_class_heatmap
from adautomix.figures.robust import (
    corruption_heatmap,
    ece_scatter,
    protocol_dots,
    reliability_diagram,
    reliability_grid,
    robustness_curves,
)
from adautomix.figures.sliders import explore, paint
from adautomix.figures.style import by_method, format_table, label_colors, method_colors, save, set_style, short_labels

__all__ = [
    "ablation_panels",
    "accuracy_bars",
    "by_method",
    "corruption_heatmap",
    "ece_scatter",
    "explore",
    "format_table",
    "framework",
    "image_row",
    "label_colors",
    "label_text",
    "learning_curves",
    "method_colors",
    "paint",
    "paper_panels",
    "per_class_heatmap",
    "picture_grid",
    "protocol_dots",
    "reliability_diagram",
    "reliability_grid",
    "robustness_curves",
    "rule_offsets",
    "run_curves",
    "save",
    "set_style",
    "short_labels",
    "term_curves",
]
