"""`python -m adautomix`, and the command `adautomix`."""

import sys


def main() -> None:
    """Run the command line and exit with its code; Ctrl-C while libraries are still imported is no traceback either."""
    try:
        from adautomix.cli import main as run
    except KeyboardInterrupt:
        print("adautomix: interrupted before anything began", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
