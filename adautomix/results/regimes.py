"""When does mixing pay? How far each method is ahead of no mixing, by epochs and by images a class.

A regime is what all methods of a comparison share: data, network, schedule, epochs, training images and precision.
"""

from collections.abc import Iterable, Iterator

import pandas as pd

from adautomix.results.comparable import each_once, setting_key
from adautomix.results.selection import scores
from adautomix.results.statistics import holm, paired_t
from adautomix.runs.run import Run
from adautomix.utils.errors import UserError, first_five

REGIME = ["data", "backbone", "epochs", "per_class", "precision"]
ROBUSTNESS = ["run", "method", "seed", "role", "ece", "corruption_top1", "corruption_images"]


def regime_scores(runs: Iterable[Run]) -> pd.DataFrame:
    """Return `scores` with precision, per_class, batch_size and setting.

    per_class is the training images of every class (of whole sets the mean, rounded), setting what `setting_key` says.
    """
    runs = list(runs)
    held = {run.id: run.info["dataset"] for run in runs}
    images = {run_id: round(data["n_train"] / len(data["classes"])) for run_id, data in held.items()}
    precisions = {run.id: run.config.precision for run in runs}
    own = {run.id: setting_key(run) for run in runs}
    if (values := scores(runs)).empty:
        return values
    batches = {run.id: run.config.batch_size for run in runs}
    columns = {"per_class": images, "precision": precisions, "setting": own, "batch_size": batches}
    return values.assign(**{name: values["run"].map(of) for name, of in columns.items()})


def main_regime(values: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the regime of most runs; of several that of most methods, then epochs.

    Of runs there that may not be compared (another batch size, another width) those of which there are most. A label
    is the method's name, if it was trained in one way.
    """
    ranks = values.groupby(REGIME).agg(methods=("method", "nunique"), runs=("run", "nunique")).reset_index()
    best = ranks.sort_values(["runs", "methods", "epochs"]).iloc[-1]
    return _own_labels(_comparable(values[(values[REGIME] == best[REGIME].tolist()).all(axis=1)]))


def other_precisions(values: pd.DataFrame, main: pd.DataFrame) -> list[pd.DataFrame]:
    """Return, one by one, the rows of the regimes that differ from that of the rows `main` in precision alone."""
    apart = [name for name in REGIME if name != "precision"]
    alike = values[(values[apart] == main.iloc[0][apart].tolist()).all(axis=1)]
    parts = alike[alike["precision"] != main.iloc[0]["precision"]].groupby("precision")
    return [_own_labels(_comparable(part)) for _, part in parts]


def equal_steps(values: pd.DataFrame, main: pd.DataFrame) -> list[pd.DataFrame]:
    """Return, one by one, the rows of regimes with other images a class than the rows `main`, and as many steps.

    Fewest images first. A regime without another method beside no mixing is left out: it compares nothing.
    """
    row = main.iloc[0]
    shared = [name for name in ("data", "backbone", "batch_size") if name in values]  # older studies have not all
    alike = (values[shared] == row[shared].tolist()).all(axis=1)
    alike &= values["per_class"] * values["epochs"] == row["per_class"] * row["epochs"]
    parts = values[alike & (values["per_class"] != row["per_class"])].groupby(["per_class", "precision"])
    found = [_own_labels(_comparable(part)) for _, part in parts]
    return [part for part in found if "vanilla" in set(part["method"]) and part["method"].nunique() > 1]


def _comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of those runs that may be compared, of which there are most."""
    return rows[rows["comparable_key"] == rows.groupby("comparable_key", sort=False)["run"].nunique().idxmax()]


def _own_labels(values: pd.DataFrame) -> pd.DataFrame:
    """Return rows of one regime, labelled by the method alone where it was trained in one way there."""
    ways = values.groupby("method")["label"].transform("nunique")
    return values.assign(label=values["label"].where(ways > 1, values["method"]))


def gains(
    values: pd.DataFrame, *, rule: str = "median", role: str = "student", baseline: str = "vanilla"
) -> pd.DataFrame:
    """Return every method's gain over no mixing in every regime, over the seeds that both have.

    Args:
        values: what `regime_scores` returns.
    Raises: UserError if the baseline was trained with several settings in one regime, or a label names several runs of
        one seed.
    Returns: one row per regime and method: REGIME, method, label, pairs (seeds), difference, low and high (points, 95 %
        paired t interval; nan below three seeds), p, and p_holm, adjusted for the methods of its regime.
    """
    rows = []
    for told, labels, others, plain in _pairs(values, rule, role, baseline):
        found = [told | labels[key] | paired_t(others[key], plain) for key in others]
        adjusted = holm([row["p"] for row in found]) if found else []
        rows += [row | {"p_holm": p} for row, p in zip(found, adjusted, strict=True)]
    columns = [*REGIME, "method", "label", "pairs", "difference", "low", "high", "p", "p_holm"]
    return pd.DataFrame(rows, columns=columns).sort_values(REGIME, kind="stable", ignore_index=True)


def gains_by_seed(
    values: pd.DataFrame, *, rule: str = "median", role: str = "student", baseline: str = "vanilla"
) -> pd.DataFrame:
    """Return what `gains` averages: a row per regime, method and seed, with REGIME, method, label, seed, difference."""
    rows = [
        told | labels[key] | {"seed": seed, "difference": difference}
        for told, labels, others, plain in _pairs(values, rule, role, baseline)
        for key in others
        for seed, difference in (others[key] - plain).dropna().items()
    ]
    columns = [*REGIME, "method", "label", "seed", "difference"]
    return pd.DataFrame(rows, columns=columns).sort_values(REGIME, kind="stable", ignore_index=True)


def _pairs(
    values: pd.DataFrame, rule: str, role: str, baseline: str
) -> Iterator[tuple[dict, dict, pd.DataFrame, pd.Series]]:
    """Yield a regime, the names of its other methods, and their and the baseline's top-1 by seed.

    Raises: UserError if the baseline was trained with several settings: a gain over which would it be?
    """
    chosen = values[(values["rule"] == rule) & (values["role"] == role)].dropna(subset="top1")
    for key, part in chosen.groupby([*REGIME, "comparable_key"], sort=False):
        if (twice := part.duplicated(["seed", "method", "label"])).any():
            label, seed = part.loc[twice, ["label", "seed"]].iloc[0]
            raise UserError(
                f"{label} has two runs of seed {seed} in one regime: of which is the gain? Leave one of them"
            )
        wide = part.pivot(index="seed", columns=["method", "label"], values="top1")
        if baseline not in wide.columns.get_level_values("method"):
            continue
        if len(plain := wide[baseline].columns) > 1:
            raise UserError(
                f"{baseline} was trained in {len(plain)} ways, {first_five(list(plain))}: leave one of them"
            )
        others = wide.drop(columns=baseline, level="method")
        settings = others.columns.get_level_values("method").value_counts()
        labels = {(m, name): {"method": m, "label": m if settings[m] == 1 else name} for m, name in others}
        yield dict(zip(REGIME, key, strict=False)), labels, others, wide[baseline].iloc[:, 0]


def regime_table(values: pd.DataFrame, robust: pd.DataFrame) -> pd.DataFrame:
    """Return means over the seeds of one regime, a row per method and label, for students and teachers.

    Args:
        values: what `regime_scores` returns, of one regime and rule.
        robust: what `regime_robustness` returns of the same runs.
    Returns: method, label, seeds (their number), and percentages named for readers: `top-1, student`, ECE and accuracy
        under 15 corruptions likewise; `corrupted images`: test images of the latter. Where seeds were measured on
        different numbers of them, those of most seeds count, then those of most images. nan where nothing was measured.
    """
    whole = values.merge(robust.drop(columns=["method", "seed"]), on=["run", "role"], how="left", validate="m:1")
    keys = ["method", "label", "role"]
    whole = whole.merge(_most_images(whole, keys), on=keys, how="left")
    whole["corruption_top1"] = whole["corruption_top1"].where(whole["corruption_images"] == whole["chosen"])
    groups = whole.groupby(keys)
    names = {"top1": "top-1", "ece": "ECE", "corruption_top1": "15 corruptions"}
    table = groups[list(names)].mean().rename(columns=names).unstack("role")
    table.columns = [f"{name}, {role}" for name, role in table.columns]
    table["corrupted images"] = groups["chosen"].max().unstack("role").max(axis=1)
    table["seeds"] = groups["seed"].nunique().unstack("role").max(axis=1)
    return table.reset_index()


def _most_images(whole: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return for every group the number of corrupted images of most seeds, of several the largest, as `chosen`."""
    counts = whole.groupby([*keys, "corruption_images"]).size().rename("seeds").reset_index()
    counts = counts.sort_values(["seeds", "corruption_images"]).drop_duplicates(keys, keep="last")
    return counts.rename(columns={"corruption_images": "chosen"})[[*keys, "chosen"]]


def regime_robustness(runs: Iterable[Run]) -> pd.DataFrame:
    """Return a row per network that was evaluated: run, method, seed, role, ece, corruption_top1 (%, of 15).

    corruption_images is the number of test images the latter is of; nan where an evaluator was not run.
    """
    rows = []
    for run in each_once(runs):
        for role in run.roles:
            row = {"run": run.id, "method": run.config.method, "seed": run.config.seed, "role": role}
            calibration, corruption = (run.metrics(name, role) for name in ("calibration", "corruption"))
            row |= {} if calibration is None else {"ece": calibration["value"]["ece"]}
            if corruption is not None:
                row |= {"corruption_top1": corruption["value"]["top1"], "corruption_images": corruption["n_images"]}
            if len(row) > 4:
                rows.append(row)
    return pd.DataFrame(rows, columns=ROBUSTNESS)
