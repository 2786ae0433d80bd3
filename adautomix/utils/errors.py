"""Errors that are the user's to mend, and the sentence that helps.

The command line prints a `UserError` as one message and leaves with code 2; anything else is our bug and keeps
its traceback.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class UserError(ValueError):
    """Something the user gave is wrong; the message says what, what was received and what to do."""


class UnknownName(UserError, KeyError):
    """A name that is not in a table; a KeyError too, so that tables are Mappings in every way (`table.get(name)`)."""

    __str__ = UserError.__str__  # KeyError's would show the message in quotes


class RankError(RuntimeError):
    """A rank of a run on several devices failed, or was killed; the message says which, and how to go on."""


class LostRank(RankError):
    """Another rank is gone: that one's error, where there is any, is the one to look at."""


class LostScheduler(RuntimeError):
    """The scheduler that runs a plan's notebooks is gone; the message says which, and how to go on."""


def unknown(what: str, name: object, known: Iterable[str]) -> UnknownName:
    """Return the error for a name that does not exist, naming the closest one and all that do."""
    known = sorted(known)
    close = get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return UnknownName(f"unknown {what} {name!r}{hint} (known: {', '.join(known) or 'none'})")


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, or its type where it has none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def first_five(names: Sequence[str]) -> str:
    """Return the first five names, and how many more there are."""
    return "; ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
