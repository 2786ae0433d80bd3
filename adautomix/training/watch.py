"""Who watches a training: the log's lines, a bar on a terminal or in a notebook, and a callback of the caller's."""

import math
import time
from collections.abc import Callable
from typing import Any, Self

from tqdm.auto import tqdm

from adautomix.runs.run import ROLES, Run
from adautomix.utils.progress import DELAY, rate_text, watched

OnEpoch = Callable[[Run, dict[str, float]], Any]
LOOK = "{desc}: {percentage:3.0f} %|{bar}| {n:.1f}/{total} epochs, {elapsed}, {remaining} left{postfix}"


class Watch:
    """What is told while a training runs. Used as a context manager, at whose end the bar vanishes."""

    def __init__(
        self, epochs: int, log: Callable[[str], None], on_epoch: OnEpoch | None = None, *, bar: bool = True
    ) -> None:
        self.lines, self.on_epoch = log, on_epoch
        self.done, self.top1 = 0, ""
        self.bar = tqdm(total=epochs, bar_format=LOOK, leave=False, delay=DELAY, disable=not (bar and watched()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def log(self, line: str) -> None:
        """Pass a line on; the bar stays below it."""
        with self.bar.external_write_mode():
            self.lines(line)

    def begin(self, name: str, epoch: int) -> None:
        """Take what is trained, and how many epochs of it are done: the time left is reckoned from here."""
        self.bar.set_description_str(name, refresh=False)
        # All that tqdm reckons speed from: else what was done before counts as done in no time.
        self.bar.initial = self.bar.n = self.bar.last_print_n = self.done = epoch
        self.bar.start_t = self.bar.last_print_t = time.time()

    def step(self, epochs: float, images_per_s: float) -> None:
        """Show how many epochs are done, in part, and how fast they go."""
        self.bar.set_postfix_str(f"{rate_text(images_per_s)}{self.top1}", refresh=False)
        self.bar.update(epochs - self.bar.n)

    def epoch(self, run: Run, row: dict[str, float]) -> None:
        """Show the last accuracies, and call the caller's `on_epoch`; the epoch is on the disk."""
        self.done = row["epoch"]
        if not self.bar.disable:
            if not math.isnan(row["student_top1"]):
                self.top1 = "".join(f", {role} {row[f'{role}_top1']:.1f} %" for role in ROLES)
            self.step(row["epoch"], row["images_per_s"])
        if self.on_epoch is not None:
            self.on_epoch(run, row)

    def catch_up(self, run: Run) -> None:
        """Show the epochs that other processes have trained since."""
        for row in run.history.iloc[self.done :].to_dict("records"):
            self.epoch(run, row | {"epoch": int(row["epoch"])})
