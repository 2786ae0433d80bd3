"""Many Runs to one table: accuracies, model selection, the paper's cells, robustness and ablations."""

from adautomix.utils.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "ablations": "ablation_table comparison_counts not_run plan_commands wide_ablations",
        "factors": "left_out",
        "held": "holding lacking",
        "logged": "agreement beside_log first_losses log_scores logged_value short_runs_and_table3",
        "reproduction": "cells detail markdown of_kind overview require_runs",
        "printed": "best_of our_block paper_block with_gain",
        "regimes": "REGIME equal_steps gains gains_by_seed main_regime other_precisions "
        "regime_robustness regime_scores regime_table",
        "robustness": "corruption_cells curves differences most_alike reliability table3_values table3_wide",
        "samples": "leader places share_text wilson",
        "selection": "RULES conventions score scores",
        "statistics": "holm seed_sd",
        "study": "publish_study read_study",
        "tables": "best_methods class_accuracies counted epochs histories mean_sd named table wide_table",
    },
)
