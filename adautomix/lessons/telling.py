"""What a check says where it cannot compare: nothing is written yet, or what was written raises an error."""

import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from sysconfig import get_path

PACKAGE = Path(__file__).resolve().parents[1]
NOTHING = "nothing is here yet: write it, and run this cell again"


def tells(check: Callable[..., str]) -> Callable[..., str]:
    """Return a check that says what a reader's function raises, instead of raising it: a notebook runs on."""

    @wraps(check)
    def told(*given: object, **named: object) -> str:
        try:
            return check(*given, **named)
        except Exception as error:
            return raised(error)

    return told


def raised(error: Exception) -> str:
    """Return an error in one sentence, with the line of the reader's own code that it came from."""
    if isinstance(error, NotImplementedError) and not str(error):
        return NOTHING
    said = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    others = {PACKAGE, Path(get_path("stdlib")), Path(get_path("purelib"))}
    own = [f for f in frames if not others & set(Path(f.filename).parents)]
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line})" if own else ""
    return f"it raised {type(error).__name__}: {said[:300]}{where}"
