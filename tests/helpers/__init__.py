"""Shared by the tests: tiny networks, trees, Runs and plans. The repository's root is ROOT."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
