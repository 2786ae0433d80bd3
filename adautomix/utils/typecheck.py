"""Does a plain value (from YAML, JSON or the shell) fit a type hint? Whole, every item looked at.

A bool is an int to Python; to somebody who writes `epochs: true` it is a mistake, so here it is none. An int serves as
a float.
"""

import math
import types
from typing import Any, Literal, Union, get_args, get_origin


def matches_hint(value: Any, hint: Any) -> bool:
    """Return whether a value is of a type: plain ones, Literal, unions, and list, tuple and dict of such."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return value in args
    if origin in (Union, types.UnionType):
        return any(matches_hint(value, arg) for arg in args)
    if origin is list:
        return isinstance(value, list) and all(matches_hint(item, args[0]) for item in value)
    if origin is tuple:
        return isinstance(value, tuple) and len(value) == len(args) and all(map(matches_hint, value, args))
    if origin is dict:
        return isinstance(value, dict) and all(all(map(matches_hint, pair, args)) for pair in value.items())
    if hint in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if hint is float else hint)


def coerce(value: Any, hint: Any) -> Any:
    """Return a value as its hint's own type where only YAML or JSON made it another: 1 as 1.0, a list as a tuple."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        plain = [arg for arg in args if arg is not type(None)]
        return coerce(value, plain[0]) if len(plain) == 1 and value is not None else value
    if origin is tuple and isinstance(value, (list, tuple)) and len(value) == len(args):
        return tuple(map(coerce, value, args))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:  # beyond 1e308
            return math.inf if value > 0 else -math.inf
    return value


def hint_text(hint: Any) -> str:
    """Return a type hint in words, for a message."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(hint_text(arg) for arg in get_args(hint))
    if hint is type(None):
        return "nothing"
    return getattr(hint, "__name__", str(hint)) if get_origin(hint) is None else str(hint)
