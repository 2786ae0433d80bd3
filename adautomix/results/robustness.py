"""What the robustness evaluators left in Runs, as long and wide tables. Reads files only, needs no torch.

The paper mixes errors and accuracies (FGSM error, corruption accuracy); columns say which. Runs without a result are
left out, not counted as zero. So are, in curves and cells, results of a label's seed that were measured otherwise than
most of its seeds, on other images or with other settings: what is left may be averaged (`most_alike`).
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from adautomix.results.comparable import comparable_key
from adautomix.results.samples import places, share_text
from adautomix.results.statistics import FEWEST_SEEDS, paired_t, seed_sd
from adautomix.results.tables import mean_sd, measured, measured_as, named, widened
from adautomix.runs.run import Run

GROUPS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    "only released": ("speckle_noise", "gaussian_blur", "spatter", "saturate"),
}
"""The corruptions in the order they are usually shown; the last four count in the released code's mean only."""
TABLE3 = {
    ("clean", "standard"): ("accuracy", "top1"),
    ("corrupted", "standard"): ("corruption", "top1"),
    ("corrupted", "released"): ("corruption", "released_top1"),
    ("FGSM error", "standard"): ("fgsm", "error"),
    ("FGSM error", "released"): ("released", "fgsm_error"),
}
"""Table 3's columns and protocols, with evaluator and value they come from; all in percent."""


def curves(runs: Iterable[Run], evaluator: str, name: str = "curve") -> pd.DataFrame:
    """Return the curves of an evaluator (fgsm, pgd, occlusion), one row per point.

    Columns: what `named` says, role, the strength (`eps` or `ratio`), top1 in percent and n.

    Args:
        name: which of the evaluator's values is the curve ("occlusion" of the evaluator released).
    """
    return pd.DataFrame([head | point for head, value in _alike(runs, evaluator) for point in value[name]])


def corruption_cells(runs: Iterable[Run]) -> pd.DataFrame:
    """Return accuracy under every corruption and severity, one row per cell.

    Columns: what `named` says, role, group, corruption, severity and top1 in percent.
    """
    kinds = [(group, corruption) for group, members in GROUPS.items() for corruption in members]
    return pd.DataFrame(
        [
            head | {"group": group, "corruption": kind, "severity": severity, "top1": top1}
            for head, value in _alike(runs, "corruption")
            for group, kind in kinds
            for severity, top1 in enumerate(value["table"][kind], start=1)
        ]
    )


def reliability(runs: Iterable[Run]) -> pd.DataFrame:
    """Return how confidence fits accuracy, one row per network: what `named` says, role, ece, mce, released_ece, bins.

    The errors are in percent; `overconfidence` is mean confidence less accuracy, in points.
    """
    rows = []
    for head, value in _alike(runs, "calibration"):
        filled = [b for b in value["bins"] if b["count"]]
        gap = sum(b["count"] * (b["confidence"] - b["accuracy"]) for b in filled) / sum(b["count"] for b in filled)
        rows.append(head | {"overconfidence": 100 * gap} | value)
    return pd.DataFrame(rows)


def table3_values(runs: Iterable[Run]) -> pd.DataFrame:
    """Return the paper's Table 3 of these runs, a row per network and value: what `named` says, role, column, protocol.

    `value` is in percent, `n_images` the test images it is of, `measured` the evaluator's settings as text; runs with
    the same `comparable_key` may be compared as methods.
    """
    runs = list(runs)
    return pd.DataFrame(
        [
            head | {"column": column, "protocol": protocol, "value": values[value]}
            for (column, protocol), (evaluator, value) in TABLE3.items()
            for head, values in _results(runs, evaluator)
        ]
    )


def table3_wide(values: pd.DataFrame) -> pd.DataFrame:
    """Return `table3_values` with one row per label and role, and a text in a column for every column and protocol.

    That is "mean ± sd" over seeds, and with fewer than three the mean and the 95 % interval of so many images; in
    percent, with the digits that the number of images allows (`samples`). Results that were measured differently are
    not averaged: shown are those of most seeds, and among these of most images.
    """
    keys = ["data", "backbone", "method", "label", "role"]
    values = values.assign(entry=values["column"] + ", " + values["protocol"])
    groups = most_alike(values).groupby([*keys, "entry"], sort=False)
    stats = groups["value"].agg(mean="mean", sd=seed_sd, n="count")
    stats = stats.assign(images=groups["n_images"].first()).reset_index()
    stats["text"] = [
        share_text(row.mean, row.images) if pd.isna(row.sd) else mean_sd(row.mean, row.sd, places(row.images))
        for row in stats.itertuples(index=False)
    ]
    return widened(stats, keys, "entry")


def most_alike(values: pd.DataFrame) -> pd.DataFrame:
    """Return `table3_values` without what was measured otherwise than most seeds of its label; of two, most images.

    What is left may be averaged: one number of images and one way of measuring in every label, role and column.
    """
    return _of_most(values, ["data", "backbone", "label", "role", "column", "protocol"])


def _of_most(values: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    seeds = values.groupby([*keys, "measured", "n_images"])["seed"].transform("size")
    ranked = values.assign(seeds=seeds).sort_values(["seeds", "n_images"], ascending=False, kind="stable")
    best = ranked.drop_duplicates(keys)[[*keys, "measured", "n_images"]]
    return values.merge(best, on=list(best.columns), how="inner")


def differences(
    values: pd.DataFrame,
    *,
    baseline: str = "vanilla",
    role: str = "student",
    alike: Sequence[str] = ("measured", "n_images", "comparable_key"),
) -> pd.DataFrame:
    """Return every label's value less the baseline's with its 95 % paired t interval over seeds, in points.

    Args:
        values: what `table3_values` returns, or data, backbone, column, protocol, label, seed, role, value and `alike`.
        baseline: a label, as `values` spells it; others are compared where data set, backbone, column, protocol and
            `alike` agree. Runs on several backbones carry them in their labels: shorten those first.
        alike: columns that must agree, by default the way of measuring and all settings but those of the method.
    Returns: one row per label and value; none where fewer than three seeds are shared.
    """
    keys, rows = ["data", "backbone", "column", "protocol"], []
    # Their columns by name: of a list of names that are not all there groupby may make a column of its own.
    rest = values.loc[values["role"] == role, [*keys, *alike, "label", "seed", "value"]]
    for found, part in rest.groupby([*keys, *alike], sort=False):
        key = found[: len(keys)]
        wide = part.pivot(index="seed", columns="label", values="value")
        for label in wide.columns.drop(baseline) if baseline in wide else ():
            result = paired_t(wide[label], wide[baseline])
            if result["pairs"] >= FEWEST_SEEDS:
                rows.append(dict(zip(keys, key, strict=True)) | {"label": label} | result)
    columns = [*keys, "label", "difference", "low", "high", "p", "pairs"]
    return pd.DataFrame(rows, columns=columns).rename(columns={"pairs": "n"})


def _alike(runs: Iterable[Run], evaluator: str) -> list[tuple[dict, dict]]:
    """Return `_results` of each label and role that were measured like most of its seeds; heads as `named` has them."""
    found = _results(runs, evaluator)
    if not found:
        return []
    heads = pd.DataFrame([head for head, _ in found]).assign(place=range(len(found)))
    kept = _of_most(heads, ["data", "backbone", "label", "role"])["place"]
    more = ("n_images", "measured", "comparable_key")
    return [({k: v for k, v in found[i][0].items() if k not in more}, found[i][1]) for i in sorted(kept)]


def _results(runs: Iterable[Run], evaluator: str) -> list[tuple[dict, dict]]:
    """Return for every network with a result its value, and a head.

    That is what `named` says, role, n_images, measured (the evaluator's settings) and comparable_key.
    """
    runs = list(runs)
    heads = {run.id: head | {"comparable_key": comparable_key(run)} for run, head in named(runs)}
    return [
        (
            heads[run.id] | {"role": role, "n_images": result["n_images"], "measured": str(measured_as(result))},
            result["value"],
        )
        for run, role, result in measured(runs, evaluator)
    ]
