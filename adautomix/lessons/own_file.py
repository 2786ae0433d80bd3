"""A method in a file of a reader's own, beside the package."""

import importlib.util
import sys
from pathlib import Path

from adautomix.lessons.telling import raised
from adautomix.methods.base import MixMethod
from adautomix.utils.errors import UserError

EXAMPLE = "class Mine(MixMethod) with draw and mix"


def method_in(path: str | Path) -> type[MixMethod]:
    """Return the one method that a Python file defines. The file is run, as any import runs it.

    Raises: UserError if it is missing, cannot be imported, or holds no method or several.
    """
    file = Path(path).expanduser()
    if not file.is_file() or file.suffix != ".py":
        raise UserError(f"a method is a Python file, such as my_method.py; there is none at {path}")
    spec = importlib.util.spec_from_file_location(f"method_file_{file.stem}", file)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UserError(f"{file.name} is not Python: {error.msg}, line {error.lineno}") from error
    except Exception as error:
        raise UserError(f"{file.name} cannot be imported: {raised(error)}") from error
    classes = dict.fromkeys(c for c in vars(module).values() if isinstance(c, type))  # one may have two names
    own = [c for c in classes if c.__module__ == spec.name]
    methods = [c for c in own if issubclass(c, MixMethod)]
    last = [c for c in methods if not any(other is not c and issubclass(other, c) for other in methods)]
    if not last:
        found = f"its classes are {', '.join(c.__name__ for c in own)}" if own else "it has no class"
        raise UserError(f"there is no method in {file.name}, {found}; write {EXAMPLE}")
    if len(last) > 1:
        raise UserError(f"{file.name} has several methods, {', '.join(c.__name__ for c in last)}; leave one")
    return last[0]
