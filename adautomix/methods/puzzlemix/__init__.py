"""Puzzle Mix: saliency, a labelling of blocks, and their transport. Nothing else uses these files."""
