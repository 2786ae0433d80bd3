"""The command line, called in the test's own process."""

import pytest

from adautomix.cli import main


def call(*args: str) -> int:
    """Return the exit code of `adautomix ARGS`."""
    with pytest.raises(SystemExit) as caught:
        main(args)
    return caught.value.code
