"""A study as three CSV files that can be published: what notebook 41 shows, without the Runs and their weights.

    python -m adautomix.results.study RUNS FOLDER [--label NAME] [--joins]

FOLDER may hold a study already, of another day or machine: its rows stay, but for those of the same Runs.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from adautomix.results.regimes import REGIME, ROBUSTNESS, regime_robustness, regime_scores
from adautomix.results.tables import epochs
from adautomix.runs.run import Run, find_runs
from adautomix.utils.errors import UserError
from adautomix.utils.files import write_atomic

DIGITS = {"scores": "%.4f", "epochs": "%.5g", "robustness": "%.4f"}
"""The files, and how their fractions are written."""
SPEED = ["images_per_s", "seconds"]
"""Columns that are of a machine, not of the method: left out."""
POINTS = 150
"""Epochs of a run that are kept, spread evenly, of the longer ones; and all that were evaluated."""


def publish_study(
    runs: Iterable[Run], folder: str | Path, *, label: str | None = None, joins: bool = False
) -> dict[str, pd.DataFrame]:
    """Write scores.csv, epochs.csv and robustness.csv of finished runs, added to those in the folder; return them.

    Without evaluations there is no robustness.csv. Of long runs not every epoch is kept, for the file's size.

    Args:
        label: what the images are called there, if not as in the runs: a folder's name says nothing to others.
        joins: the runs share every setting but those of the method with the published ones of the same data, network,
            epochs and images a class, and are to be compared with them. The files do not tell; who made them knows.
    Raises: UserError if there are no runs, joins finds none or several groups to be joined, or a label would name runs
        of several settings.
    """
    runs, folder = list(runs), Path(folder)
    if not runs:
        raise UserError("a study needs finished runs, there are none")
    made = {"scores": regime_scores(runs), "epochs": epochs(runs), "robustness": regime_robustness(runs)}
    made["epochs"] = made["epochs"].drop(columns=SPEED, errors="ignore")
    made["scores"] = made["scores"].dropna(subset="top1")  # `validation` where no images were held out
    if label is not None:
        made = {name: rows.assign(data=label) if "data" in rows else rows for name, rows in made.items()}
    there = {name: pd.read_csv(path) for name in made if (path := folder / f"{name}.csv").exists()}
    if joins:
        made["scores"] = _joined(made["scores"], there.get("scores"))
    if "scores" in there:
        _keep_labels(made, there["scores"])
    for name, rows in made.items():
        old = there.get(name, rows[:0])
        parts = [part for part in (old[~old["run"].isin(rows["run"])], rows) if not part.empty]
        made[name] = pd.concat(parts).sort_values("run", kind="stable", ignore_index=True) if parts else rows
    made["epochs"] = _thinned(made["epochs"])
    _require_one_setting(made["scores"])
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in made.items():
        if rows.empty and name not in there:  # nothing was evaluated: no file of a header alone
            continue
        form = DIGITS[name]
        write_atomic(folder / f"{name}.csv", lambda path, r=rows, f=form: r.to_csv(path, index=False, float_format=f))
    return made


def read_study(folder: str | Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return scores, epochs and robustness of a published study, the last without rows if none was measured.

    Raises: UserError if the folder has no study.
    """
    folder = Path(folder)
    if not (folder / "scores.csv").exists():
        raise UserError(f"there is no study in {folder}: give outputs, the folder of trained runs, instead")
    robust = folder / "robustness.csv"
    found = pd.read_csv(robust) if robust.exists() else pd.DataFrame(columns=ROBUSTNESS)
    return pd.read_csv(folder / "scores.csv"), pd.read_csv(folder / "epochs.csv"), found


def _thinned(rows: pd.DataFrame) -> pd.DataFrame:
    """Return of runs of more than POINTS epochs those that are evaluated, and of the others every so many."""
    every = (rows.groupby("run")["epoch"].transform("max") // POINTS).clip(lower=1)
    return rows[(rows["epoch"] % every == 0) | rows["student_top1"].notna()].reset_index(drop=True)


def _keep_labels(made: dict[str, pd.DataFrame], published: pd.DataFrame) -> None:
    """Call runs of a published setting as that is called; what a label tells depends on what it stands among."""
    if "setting" not in published:  # a study of an older version
        return
    one = [*REGIME, "comparable_key", "setting"]
    known = published.drop_duplicates(one).set_index(one)["label"]
    places = pd.MultiIndex.from_frame(made["scores"][one])
    label = pd.Series(known.reindex(places).to_numpy(), made["scores"].index).fillna(made["scores"]["label"])
    made["scores"] = made["scores"].assign(label=label)
    of_run = made["scores"].drop_duplicates("run").set_index("run")["label"]
    made["epochs"] = made["epochs"].assign(label=made["epochs"]["run"].map(of_run).fillna(made["epochs"]["label"]))


def _require_one_setting(scores: pd.DataFrame) -> None:
    """Labels tell the settings of runs that are published together: those of two days may share one."""
    known = scores.dropna(subset="setting")  # a study of an older version has none
    for (*_, label), settings in known.groupby([*REGIME, "comparable_key", "label"])["setting"].unique().items():
        if len(settings) > 1:
            raise UserError(
                f"{label!r} would name runs of {len(settings)} settings in this study; publish all of them at once, "
                "into a new folder: then labels tell them apart"
            )


def _joined(rows: pd.DataFrame, published: pd.DataFrame | None) -> pd.DataFrame:
    """Return scores with the published `comparable_key` of their regime."""
    if published is None:
        raise UserError("there is no study to join: leave joins out")
    keys = published.groupby(REGIME)["comparable_key"].unique()
    found = []
    for regime in rows[REGIME].itertuples(index=False, name=None):
        among = keys.get(regime, [])
        if len(among) != 1:
            told = ", ".join(f"{name} {value}" for name, value in zip(REGIME, regime, strict=True))
            raise UserError(f"of {told} the study has {len(among)} groups of comparable runs, one is needed to join")
        found.append(among[0])
    return rows.assign(comparable_key=found)


def main() -> None:
    """Publish the runs below a folder."""
    parser = argparse.ArgumentParser(description=publish_study.__doc__.partition("\n")[0])
    parser.add_argument("runs", help="folder above the runs")
    parser.add_argument("folder", help="where the files go, such as outputs/reference/small_data")
    parser.add_argument("--label", help="what the images are called there")
    parser.add_argument("--joins", action="store_true", help="compare with the published runs of the same regime")
    args = parser.parse_args()
    try:
        made = publish_study(find_runs(args.runs), args.folder, label=args.label, joins=args.joins)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(", ".join(f"{len(rows)} rows in {name}.csv" for name, rows in made.items()))


if __name__ == "__main__":
    main()
