"""`train()` and its loop, in one file to read top to bottom, and the optimisers."""
