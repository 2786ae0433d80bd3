"""Many Runs to one table: accuracies, model selection, the paper's cells, robustness and ablations."""
