"""`python -m adautomix.cli`."""

from adautomix.cli import main

main()
