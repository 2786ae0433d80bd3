"""One recipe for every cell of the paper's Tables 1 and 2, named `<column>/<method>`: cifar100_resnet18/adautomix.

The released AutoMix and AdAutoMix differ from the rest in more than mixing: their learning rate ends higher, their
teacher keeps statistics of its own, and their number is the teacher's. A `fair` run takes the first two differences
away; the tables always show student and teacher of every method.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

from adautomix.config import OptimConfig, TrainConfig
from adautomix.paper import columns, published
from adautomix.recipes.released import COLUMNS as COLUMNS
from adautomix.recipes.released import IMAGES, Column
from adautomix.runs.identity import UNHASHED
from adautomix.utils.errors import UserError, unknown

METHODS = ("vanilla", "mixup", "cutmix", "manifoldmix", "saliencymix", "fmix", "puzzlemix", "resizemix") + (
    LEARNED := ("automix", "adautomix")
)
"""The methods of the paper's tables, in their order; the workbook has more."""
FREE = (*UNHASHED, "seed", "validation", "precision", "eval_precision", "channels_last")
"""What may differ from a recipe and still be a run of it."""


@dataclass(frozen=True)
class Recipe:
    """How one cell of Table 1 or 2 was trained.

    Attributes:
        column: its name in `paper.COLUMN_NAMES`.
        method: one of METHODS here.
    """

    column: str
    method: str

    @property
    def name(self) -> str:
        """`<column>/<method>`."""
        return f"{self.column}/{self.method}"

    @property
    def table(self) -> int:
        """The paper's table it is in."""
        return 1 if self.column in columns(1) else 2

    @property
    def paper(self) -> float | None:
        """The published top-1 in percent, or None."""
        return published(self.column, self.method)

    @property
    def epochs(self) -> int:
        """Epochs of the whole run."""
        return COLUMNS[self.column].base.epochs

    def config(self, *, budget: float = 1.0, fair: bool = False, **free: Any) -> TrainConfig:
        """Return the config of a run.

        Args:
            budget: share of the epochs, in (0, 1]; below 1 the warm-up shrinks with them, and the teacher's momentum
                is capped at first, without which a short run would leave it untrained.
            fair: the same schedule and the same teacher for all methods of the column.
            free: any of FREE, such as seed, validation, device, eval_every.
        Raises: UserError for a budget out of range.
        """
        if not 0 < budget <= 1:
            raise UserError(f"budget must be above 0 and at most 1 (all {self.epochs} epochs), got {budget}")
        return self.with_epochs(max(1, round(budget * self.epochs)), fair=fair, **free)

    def with_epochs(self, epochs: int, *, fair: bool = False, **free: Any) -> TrainConfig:
        """Return the config of a run of that many epochs; see `config`."""
        if stray := set(free) - set(FREE):
            raise UserError(f"{', '.join(sorted(stray))} is part of the recipe; only {', '.join(FREE)} are free")
        config = _fair(self.method, COLUMNS[self.column]) if fair else _released(self.method, COLUMNS[self.column])
        share = epochs / self.epochs
        optim = {k: replace(o, warmup_epochs=o.warmup_epochs * share) for k, o in config.optim.items()}
        ema = config.ema if epochs >= self.epochs else replace(config.ema, warmup=True)
        return replace(config, epochs=epochs, optim=optim, ema=ema, **free)


class _Recipes(Mapping[str, Recipe]):
    """All recipes by name; an unknown name gives a UserError with the closest column or method."""

    def __getitem__(self, name: str) -> Recipe:
        column, slash, method = name.partition("/")
        if not slash:
            raise UserError(f"a recipe is named <column>/<method>, such as cifar100_resnet18/adautomix; got {name!r}")
        if column not in COLUMNS:
            raise unknown("column of a recipe", column, COLUMNS)
        if method not in METHODS:
            raise unknown("method of a recipe", method, METHODS)
        return Recipe(column, method)

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __iter__(self) -> Iterator[str]:
        return (f"{column}/{method}" for column in COLUMNS for method in METHODS)

    def __len__(self) -> int:
        return len(COLUMNS) * len(METHODS)


RECIPES = _Recipes()


@dataclass(frozen=True)
class Match:
    """Which recipe a run followed: all of its epochs, or a share of them (`budget`); as released, or `fair`."""

    recipe: Recipe
    budget: float
    fair: bool


def recognise(config: TrainConfig, dataset: Mapping[str, Any]) -> Match | None:
    """Return the recipe a run is of, by its content; None if any setting that is not free differs, or the images do.

    For a method whose fair run is its released one, `fair` is False.

    Args:
        dataset: what a Run records of its data set: `classes`, and the numbers n_train and n_validation.
    """
    images = dataset["n_train"] + dataset.get("n_validation", 0)
    if (len(dataset["classes"]), images) != IMAGES.get(config.data) or config.method not in METHODS:
        return None
    for column, settings in COLUMNS.items():
        recipe, base = Recipe(column, config.method), settings.base
        if (config.data, config.backbone) != (base.data, base.backbone) or config.epochs > recipe.epochs:
            continue
        for fair in (False, True):
            if _essence(recipe.with_epochs(config.epochs, fair=fair)) == _essence(config):
                return Match(recipe, config.epochs / recipe.epochs, fair)
    return None


def outcome(name: str, config: TrainConfig, dataset: Mapping[str, Any]) -> str:
    """Return which recipe a run that started from `name` is of, and what its number may be compared with."""
    match = recognise(config, dataset)
    if match is None:
        return f"changed flags or other images: no longer the recipe {name}, and not in its table"
    recipe, few = match.recipe, []
    if match.budget < 1:
        few.append(f"{config.epochs} of {recipe.epochs} epochs")
    if config.validation:
        few.append(f"{100 * config.validation:g} % of the training images held out")
    on = ", ".join(few) + ": not comparable with the paper" if few else "all epochs"
    paper = "no published number" if recipe.paper is None else f"paper {recipe.paper:.2f} %"
    return f"{recipe.name}{' (fair)' if match.fair else ''}, {on}; {paper}"


def _released(method: str, column: Column) -> TrainConfig:
    config = _method(method, column)
    if method in LEARNED:
        config = replace(config, ema=replace(config.ema, teacher_bn="batch"))
    student = replace(config.optim["student"], **column.student.get(method, {}))
    clip_grad = column.clip_grad.get(method, config.clip_grad)
    return replace(config, optim={"student": student} | _generator(method, column, student), clip_grad=clip_grad)


def _fair(method: str, column: Column) -> TrainConfig:
    """Return the config with the plain methods' schedule, clipping and teacher; the generator keeps its own."""
    config = _method(method, column)
    released = replace(config.optim["student"], **column.student.get(method, {}))
    return replace(config, optim=config.optim | _generator(method, column, released))


def _method(method: str, column: Column) -> TrainConfig:
    tap = column.tap if method in LEARNED else None
    return replace(column.base, method=method, options=dict(column.options.get(method, {})), tap=tap)


def _generator(method: str, column: Column, student: OptimConfig) -> dict[str, OptimConfig]:
    """Return the generator's optimiser, always spelt out: a fair student must not change it."""
    if method not in LEARNED:
        return {}
    return {"generator": replace(student, **column.generator.get(method, {}))}


def _essence(config: TrainConfig) -> dict[str, Any]:
    """Return what makes a config a recipe's, with every option resolved."""
    values = {k: v for k, v in asdict(config).items() if k not in FREE}
    return values | {"options": _resolved(config.method, tuple(sorted(config.options.items())))}


@cache
def _resolved(method: str, options: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    from adautomix.methods import resolve_options

    return resolve_options(method, dict(options))
