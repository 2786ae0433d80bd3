"""Locks between processes that end with their holder, even if that is killed: the operating system keeps them.

Where a file system has none, filelock by itself would take a file's mere existence for the lock. That one outlives its
holder, and whoever comes next waits for ever.
"""

import errno
from pathlib import Path
from typing import TYPE_CHECKING

from adautomix.utils.errors import UserError

if TYPE_CHECKING:
    from filelock import AcquireReturnProxy

MISSING = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What file systems answer that have no locks: Lustre without `flock`, NFS without its lock service."""


def hold(path: Path, seconds: float = -1) -> "AcquireReturnProxy":
    """Return a file's lock, taken; as a context it is released at the end, and `lock.release()` does so too.

    Args:
        path: the file; made if it is not there, and left behind.
        seconds: how long another process that holds it is waited for; below 0, as long as it takes.
    Raises: filelock.Timeout if that was too short; UserError where the file system has no locks; OSError where the file
        cannot be made.
    """
    from filelock import FileLock

    try:
        return FileLock(path, fallback_to_soft=False).acquire(timeout=seconds)
    except OSError as error:
        if error.errno not in MISSING:
            raise
        raise UserError(
            f"{path.parent} lies on a file system without locks ({error.strerror}), where two processes would write the"
            " same files: mount it with them (Lustre: -o flock), or put this folder on another one"
        ) from error
