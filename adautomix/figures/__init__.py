"""Figures of the workbook: arrays, tables and Runs in, matplotlib axes out. One look, one colour a method.

Nothing here imports torch; images may be tensors or arrays [3,H,W] in [0,1].
"""

from adautomix.utils.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "ablation": "ablation_panels",
        "accuracies": "accuracy_bars paper_panels per_class_heatmap rule_offsets",
        "curves": "FURTHER_COLORS learning_curves run_curves term_curves",
        "description": "describe",
        "diagram": "framework",
        "evidence": "curves_and_rates gain_curves ours_and_theirs replayed_windows",
        "pictures": "image_row label_text mixed_pictures paint picture_grid",
        "printed": "format_table paper_table",
        "robust": "corruption_heatmap ece_scatter protocol_dots reliability_diagram reliability_grid robustness_curves",
        "sliders": "explore",
        "style": "by_method label_colors method_colors save set_style short_labels",
    },
)
