"""The paper's tables as the paper prints them, and ours in the same shape: methods by columns, the gain in a last row.

A table's best is what a reader looks for: `best_of` says which cells are bold.
"""

import pandas as pd

from adautomix.paper import COLUMN_NAMES, table1, table2, table3
from adautomix.results.reproduction import SETTINGS, departure
from adautomix.utils.errors import UserError

GAIN = "gain"
"""Name of the row that says how far AdAutoMix is ahead of the best other method, in points."""
TABLE3_NAMES = {
    "clean_accuracy": "clean accuracy",
    "corruption_accuracy": "accuracy under corruptions",
    "fgsm_error": "FGSM error",
}


def paper_block(number: int) -> pd.DataFrame:
    """Return one of the paper's three tables in percent: its methods in its order, its columns, and the row `gain`.

    Raises: UserError for another number.
    """
    if number not in (1, 2, 3):
        raise UserError(f"the paper has tables 1, 2 and 3, not {number}")
    frame = {1: table1, 2: table2, 3: table3}[number]()
    names = TABLE3_NAMES if number == 3 else COLUMN_NAMES
    return with_gain(frame[[name for name in frame if name in names]].rename(columns=names))


def with_gain(block: pd.DataFrame) -> pd.DataFrame:
    """Return a block of numbers by method with AdAutoMix's lead over the best other in a last row, in points.

    None where another method's number is missing: the lead over the rest would be taken for that over all.
    """
    block = block.astype(float)
    if "adautomix" not in block.index or len(block) < 2:
        return block
    others = block.drop("adautomix")
    ahead = {}
    for name, values in others.items():
        ours = block.at["adautomix", name]
        lead = values.min() - ours if lower_is_better(name) else ours - values.max()
        ahead[name] = float("nan") if values.isna().any() else lead
    return pd.concat([block, pd.DataFrame(ahead, index=[GAIN])]).rename_axis("method")


def our_block(made: pd.DataFrame) -> pd.DataFrame:
    """Return what was measured in the shape of `paper_block`, of the role that the paper reports; as text.

    What departs from the recipe stands behind a number, such as fewer epochs: then it is no cell of the paper's table.
    Several kinds of run follow one another, the one nearest to the recipe's epochs first. Methods that the paper's
    table lacks have no row, columns without a run are empty, and so is the frame if none ran. The last row is `gain`,
    as in `paper_block`: where AdAutoMix and all others of the paper's column ran in one kind.

    Args:
        made: what `cells` returns.
    """
    own = made[(made["role"] == made["paper_role"]) & made["paper"].notna()]
    own = own.assign(title=own["column"].map(COLUMN_NAMES))
    ran = own[own["n"] > 0].sort_values(["budget", "epochs"], ascending=False, kind="stable")
    if ran.empty:
        return pd.DataFrame()
    order = list(dict.fromkeys(own["title"]))
    text = [
        f"{row.mean:.2f}" + ("" if (on := departure(row)) == "all epochs" else f" ({on})") for row in ran.itertuples()
    ]
    wide = ran.assign(text=text).groupby(["method", "title"], sort=False)["text"].agg("; ".join).unstack("title")
    methods = [name for name in dict.fromkeys(own["method"]) if name in wide.index]
    wide = wide.reindex(index=methods, columns=order)
    if leads := _leads(own, ran):
        wide.loc[GAIN] = pd.Series(leads).reindex(order)
    wide = wide.astype(object)
    return wide.where(wide.notna(), "").rename_axis(index="method", columns=None)


def _leads(own: pd.DataFrame, ran: pd.DataFrame) -> dict[str, str]:
    """Return AdAutoMix's lead over the best other number shown, by column and kind of run, where none is missing."""
    needed = own.groupby("title")["method"].agg(set)
    leads: dict[str, list[str]] = {}
    for (title, *_), part in ran.groupby(["title", *SETTINGS], sort=False, dropna=False):
        means = part.set_index("method")["mean"]
        if "adautomix" in means and set(means.index) == needed[title] and len(means) > 1:
            lead = means["adautomix"] - means.drop("adautomix").max()
            leads.setdefault(title, []).append(f"{lead:+.2f}")
    return {title: "; ".join(texts) for title, texts in leads.items()}


def best_of(block: pd.DataFrame) -> pd.DataFrame:
    """Return which cells of a block of numbers are the best of their column, in the block's shape.

    A cell of `our_block` counts by its first number, and none is the best where these are of several kinds, such as 8
    of 800 epochs beside 800. The row `gain` is never the best.
    """
    cells = block.drop(index=GAIN, errors="ignore")
    numbers, kinds = cells.map(_number), cells.map(_kind)
    best = pd.DataFrame(False, index=block.index, columns=block.columns)
    for name, values in numbers.items():
        if values.notna().any() and kinds.loc[values.notna(), name].nunique() == 1:
            best.at[values.idxmin() if lower_is_better(name) else values.idxmax(), name] = True
    return best


def lower_is_better(name: str) -> bool:
    """Return whether a column of the paper's tables counts errors."""
    return "error" in name


def _number(cell: float | str) -> float:
    return float(str(cell).split(" ")[0].rstrip(";") or "nan")


def _kind(cell: float | str) -> str:
    return str(cell).partition("; ")[0].partition(" ")[2]
