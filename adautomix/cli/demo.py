"""The subcommand `demo`: one figure of photographs mixed by every method, in seconds, without training or download."""

import time
from pathlib import Path

from adautomix.cli.arguments import Demo
from adautomix.utils.errors import UserError
from adautomix.utils.extras import import_or_tell
from adautomix.utils.paths import workbook_root

NEXT = """What next:
  read it step by step       {read}
  see everything run         {run}
  train on your own images   adautomix train --data folder --root my_images --method adautomix --epochs 50 --width 16"""
IN_CHECKOUT = {"read": "make lab, and open notebooks/00_index.ipynb", "run": "make workbook"}
INSTALLED = {
    "read": "adautomix notebooks workbook, and open workbook/notebooks/00_index.ipynb",
    "run": "cd workbook, then adautomix run quick",
}
KINDS = (".png", ".pdf", ".svg")
DISPLAYED, SEEN = 128, 32
"""Side (px) of the pictures, and of what the reference networks see: they learned on 32 px."""


def demo(args: Demo) -> int:
    """Mix six photographs by every method, masks from the trained reference networks, and write one figure."""
    began = time.perf_counter()
    mpl = import_or_tell("matplotlib")
    mpl.use("Agg")
    from adautomix import figures
    from adautomix.data import whole_photos
    from adautomix.runs import reference_mixes, reference_run

    path = Path(args.out)
    if path.suffix.lower() not in KINDS:
        raise UserError(f"--out must end in {', '.join(KINDS)}, got {args.out}")
    if not 0 < args.share < 1:
        raise UserError(f"--share must lie between 0 and 1, got {args.share}")
    with mpl.rc_context():
        figures.set_style()
        (pictures, _), (seen, _) = whole_photos(DISPLAYED), whole_photos(SEEN)
        mixed = reference_mixes(pictures, seen, share=args.share, seed=args.seed)
        figure = figures.mixed_pictures(pictures, mixed, examples=2, side=0.95)
        config = reference_run().config
        learned = f"{config.data}, {config.per_class} images a class, {config.epochs} epochs"
        note = f"masks of AutoMix and AdAutoMix: learned on {learned}"
        figure.suptitle(note, x=0.01, ha="left", fontsize=9)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    print(f"{len(mixed)} methods, {len(pictures)} photographs: {path} ({time.perf_counter() - began:.0f} s)")
    print(NEXT.format(**(IN_CHECKOUT if (workbook_root() / "Makefile").exists() else INSTALLED)))
    return 0
