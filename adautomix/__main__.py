"""`python -m adautomix`."""

from adautomix.cli import main

main()
