"""`adautomix table`: what was evaluated of many runs, for a terminal, a spreadsheet, a README or a paper."""

from adautomix.cli.arguments import Table
from adautomix.cli.runs import finished
from adautomix.utils.errors import UserError

VALUES = {"calibration": "ece", "occlusion": "mean", "released": "fgsm_top1", "temperature": "temperature"}
"""What is shown of an evaluator that gives no top1."""


def show_table(args: Table) -> int:
    """Print one row per setting and network: mean and standard deviation over seeds, of three or more."""
    from adautomix.evaluate import ALL_EVALUATORS
    from adautomix.results.reproduction import markdown
    from adautomix.results.tables import table
    from adautomix.utils.errors import unknown

    known = [*ALL_EVALUATORS, "temperature"]
    if args.evaluator not in known:
        raise unknown("evaluator", args.evaluator, known)
    value = args.value or VALUES.get(args.evaluator, "top1")
    rows = table(finished(args.runs), args.evaluator, value).drop(columns=["label", "values"])
    if rows.empty:
        how = f"adautomix evaluate {' '.join(args.runs)} --evaluators {args.evaluator}"
        if args.evaluator == "temperature":
            how = "11_your_own_images fits one, or adautomix.evaluate.fit_temperature"
        raise UserError(f"none of these runs has results of {args.evaluator}: {how}")
    rows = rows.rename(columns={"mean": value, "n": "seeds"})
    if args.format == "csv":
        print(rows.to_csv(index=False), end="")
        return 0
    measured = [value, "sd"]
    shown = rows.assign(**{name: rows[name].map(_cell if name in measured else _setting) for name in rows})
    if args.format == "latex":
        print(shown.to_latex(index=False, escape=True), end="")
    elif args.format == "markdown":
        print(markdown(shown), end="")
    else:
        print(shown.to_string(index=False))
    return 0


def _setting(value: object) -> str:
    """Return a setting as it is read: a whole number without decimals, also beside gaps."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(value: object) -> str:
    """Return a cell as it is read: two decimals, and a dash for a standard deviation of too few seeds."""
    if isinstance(value, float):
        return "–" if value != value else f"{value:.2f}"
    return str(value)
