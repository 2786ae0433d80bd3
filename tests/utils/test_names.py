"""Names of files that are not UTF-8, as old archives leave them: they are written, and count as other names do."""

import os
import subprocess
import sys

from adautomix.utils.seeding import seed_for

CODE = """
import contextlib
from adautomix.cli import main
with contextlib.suppress(SystemExit):
    main(["recipes", "swin_t/vanilla"])
print("\\udce9")
"""


def test_a_stream_is_named_by_any_name():
    assert seed_for(0, "\udce9") != seed_for(0, "\udce8")
    assert seed_for(0, "e") == 2055865762892430448  # as before


def test_a_line_with_such_a_name_ends_no_command():
    told = subprocess.run(
        [sys.executable, "-c", CODE], env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"}, capture_output=True
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.endswith(b"\n\\udce9\n")
