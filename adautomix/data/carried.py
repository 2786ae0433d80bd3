"""Files that scikit-learn carries, read without importing it: that import costs more than all the rest of `digits`."""

from importlib.util import find_spec
from pathlib import Path

from adautomix.utils.errors import UserError


def carried_file(inside: str) -> Path:
    """Return the path of a file below scikit-learn's `datasets` folder, such as "images/flower.jpg".

    Raises: UserError if scikit-learn is not installed or carries no such file.
    """
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise UserError("this needs the files of scikit-learn, which is not installed: pip install scikit-learn")
    path = Path(spec.origin).parent / "datasets" / inside
    if not path.is_file():
        raise UserError(f"scikit-learn has no {path}; install the version that constraints.txt names")
    return path
