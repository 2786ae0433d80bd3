"""Errors, seeds, atomic files, paths and type checks: nothing about images. Every room may use it."""
