"""Recipes on a tiny tree in their data set's own layout: they load, step, evaluate, and fit their column."""

from collections import Counter
from dataclasses import replace
from itertools import cycle, product

import pytest
import torch
from helpers.trees import any_checksum, write_tree

from adautomix.config import TrainConfig
from adautomix.data import dataset_for
from adautomix.methods import METHODS as ALL_METHODS
from adautomix.methods import resolve_options
from adautomix.paper import COLUMN_NAMES, columns, table1, table2
from adautomix.recipes import LEARNED, METHODS, RECIPES, outcome, recognise
from adautomix.recipes.released import IMAGES
from adautomix.training.steps import Training
from adautomix.utils.errors import UserError

TAPS = {
    "cifar100_resnet18": (256, 8, 8),
    "cifar100_resnext50": (1024, 8, 8),
    "cifar100_swin_t": (384, 14, 14),
    "cifar100_convnext_t": (384, 8, 8),
    "tiny_imagenet_resnet18": (256, 16, 16),
    "tiny_imagenet_resnext50": (1024, 16, 16),
    "imagenet_resnet18": (256, 14, 14),
    "imagenet_resnet34": (256, 14, 14),
    "imagenet_resnet50": (1024, 14, 14),
    "cub200_resnet18": (256, 14, 14),
    "cub200_resnet50": (1024, 14, 14),
    "aircraft_resnet18": (256, 14, 14),
    "aircraft_resnext50": (1024, 14, 14),
    "cars_resnet18": (256, 14, 14),
    "cars_resnext50": (1024, 14, 14),
}


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """Return the root of a data set's tiny tree, written once: three classes of two and one images."""
    made = {}

    def root(data):
        if data not in made:
            made[data] = tmp_path_factory.mktemp(data)
            write_tree(data, made[data], classes=3, train=2, test=1)
        return made[data]

    return root


def stepped():
    """Name the recipes to try: what a column or a network can change. Plain methods differ by neither, but for layers.

    The learned methods in every column, manifoldmix wherever layers are called otherwise, and of the other methods one
    in each column, in turn, so that each is tried on more than one network and at more than one size.
    """
    others = [method for method in METHODS if method not in (*LEARNED, "manifoldmix")]
    turns = zip(COLUMN_NAMES, cycle(others), strict=False)
    layers = [column for column in COLUMN_NAMES if column.startswith("cifar100_") or column == "imagenet_resnet50"]
    pairs = {*product(COLUMN_NAMES, LEARNED), *product(layers, ["manifoldmix"]), *turns}
    return [name for name in RECIPES if tuple(name.split("/")) in pairs]


def test_every_method_is_stepped_in_two_columns_and_every_column_with_three_methods():
    columns_, methods = zip(*(name.split("/") for name in stepped()), strict=True)
    assert set(Counter(methods)) == set(METHODS)
    assert min(Counter(methods).values()) >= 2
    assert min(Counter(columns_)[column] for column in COLUMN_NAMES) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", stepped())
def test_a_recipe_makes_a_step_and_an_evaluation(name, tree):
    recipe = RECIPES[name]
    config = recipe.config(budget=1 / recipe.epochs, device="cpu", workers=0)
    assert config.pretrained == (recipe.table == 2)  # the weights themselves are timm's, and not here
    config = replace(config, root=str(tree(config.data)), batch_size=2, pretrained=False)
    with any_checksum():
        dataset = dataset_for(config)
    training = Training.start(config, dataset, torch.device("cpu"))
    before = {k: v.clone() for k, v in training.student.named_parameters()}
    out = training.step(next(iter(training.train_batches)))
    assert dataset.num_classes == training.student.num_classes == 3
    merged = recipe.column == "cifar100_swin_t" and recipe.method in LEARNED  # their generators read after the merging
    assert training.student.tap_shape == ((768, 7, 7) if merged else TAPS[recipe.column])
    assert all(torch.isfinite(loss) for loss in out.losses.values())
    assert set(out.losses) == ({"student", "generator"} if recipe.method in LEARNED else {"student"})
    assert all(mixed.x.shape == (2, 3, dataset.size, dataset.size) for mixed in out.mixed)
    changed = [k for k, v in training.student.named_parameters() if not torch.equal(v, before[k])]
    assert len(changed) > len(before) // 2
    row = training.evaluate()
    assert all(row[f"{role}_top1"] == pytest.approx(100 / 3 * hits) for role, hits in rights(row).items())


def rights(row):
    """Return by role how many of the three test images a network got right."""
    return {role: round(row[f"{role}_top1"] * 3 / 100) for role in ("student", "teacher")}


def test_there_is_a_recipe_for_every_cell_and_its_number_is_the_papers():
    assert len(RECIPES) == len(list(RECIPES)) == 150
    assert set(METHODS) <= set(ALL_METHODS)
    assert list(COLUMN_NAMES) == columns(1) + columns(2) == list(TAPS)
    for table in (table1(), table2()):
        for column in set(table) - {"source"}:
            for method in table.index:
                assert RECIPES[f"{column}/{method}"].paper == table.at[method, column]
    assert RECIPES["cifar100_resnet18/manifoldmix"].paper is None
    assert RECIPES["cifar100_resnet18/adautomix"].paper == 82.32


@pytest.mark.parametrize("name", list(RECIPES))
def test_options_are_ones_the_method_has(name):
    config = RECIPES[name].config()
    resolve_options(config.method, config.options)


def test_the_settings_are_those_of_the_released_runs():
    """Hand-copied from the released configurations; see recipes/released.py for which."""
    resnet = RECIPES["cifar100_resnet18/adautomix"].config()
    student = resnet.optim["student"]
    assert (student.lr, student.final_lr, student.weight_decay, student.schedule) == (0.1, 0.05, 1e-4, "epoch")
    assert (resnet.epochs, resnet.batch_size, resnet.ema.end, resnet.ema.warmup) == (800, 100, 0.999999, False)
    assert resnet.optim["generator"] == student
    assert RECIPES["cifar100_resnet18/cutmix"].config().optim["student"].final_lr == 0
    swin = RECIPES["cifar100_swin_t/adautomix"].config()
    assert (swin.optim["student"].lr, swin.optim["generator"].lr, swin.clip_grad) == (5e-4, 1e-3, 10)
    assert RECIPES["cifar100_swin_t/cutmix"].config().clip_grad == 5
    assert (swin.drop_path, swin.label_smoothing, swin.rand_augment) == (0.2, 0.1, "rand-m7-mstd0.5")
    convnext = RECIPES["cifar100_convnext_t/adautomix"].config()
    assert (convnext.optim["student"].lr, convnext.optim["generator"].lr, convnext.clip_grad) == (0.002, 5e-4, None)
    tiny = RECIPES["tiny_imagenet_resnext50/adautomix"].config()
    assert (tiny.optim["student"].lr, tiny.optim["generator"].lr, tiny.options) == (0.2, 0.1, {"beta": 0.4})
    imagenet = RECIPES["imagenet_resnet50/adautomix"].config()
    assert (imagenet.batch_size, imagenet.options["n_mix"], imagenet.options["norm"]) == (256, 2, "batch")
    fine = RECIPES["aircraft_resnext50/automix"].config()
    assert (fine.batch_size, fine.optim["student"].lr, fine.optim["generator"].lr) == (16, 0.001, 0.01)


def test_cells_that_have_a_log_follow_its_configuration():
    """Hand-copied from the configurations in the logs; where a file of the repository differs, its value is behind."""

    def options(column):
        return resolve_options("adautomix", RECIPES[f"{column}/adautomix"].config().options)

    mixed = {column: options(column)["n_mix"] for column in COLUMN_NAMES if not options(column)["random_n"]}
    two = {"aircraft_resnet18", "aircraft_resnext50", "cars_resnet18", "cars_resnext50"}
    two |= {f"imagenet_resnet{depth}" for depth in (18, 34, 50)}  # no logs: the configuration files
    assert {column for column, n in mixed.items() if n == 2} == two
    assert all(n == 3 for column, n in mixed.items() if column not in two)
    resnext = RECIPES["cifar100_resnext50/adautomix"].config()
    assert {optim.final_lr for optim in resnext.optim.values()} == {0.08}  # 0.05
    assert RECIPES["cifar100_resnext50/automix"].config().optim["student"].final_lr == 0.05
    swin = options("cifar100_swin_t")
    assert (swin["margin"], swin["random_n"], swin["switch_off"]) == (0.03, False, 0.0)  # 0, True
    assert RECIPES["cifar100_swin_t/adautomix"].config().tap == "layers.3.downsample"
    assert RECIPES["cifar100_swin_t/mixup"].config().tap is None
    assert options("cars_resnet18")["beta"] == 0.3  # 0.5
    assert (options("cub200_resnet18")["margin"], options("cub200_resnet18")["alpha_loss"]) == (0, 0)  # 0.03, 0.5
    assert (options("aircraft_resnet18")["lam_channel"], options("aircraft_resnet18")["margin"]) == (False, 0)  # True
    for column in ("cars_resnet18", "cars_resnext50", "cub200_resnet50"):
        automix = RECIPES[f"{column}/automix"].config()
        assert (automix.optim["generator"].lr, automix.optim["generator"].final_lr) == (0.1, 0.001)  # 0.01, 0.0005
    assert RECIPES["cars_resnet18/automix"].config().options["margin"] == 0  # 0.08


@pytest.mark.parametrize("column", list(COLUMN_NAMES))
def test_fair_runs_of_a_column_share_schedule_clipping_and_teacher(column):
    fair = [RECIPES[f"{column}/{method}"].config(fair=True) for method in METHODS]
    assert len({(c.optim["student"], c.ema, c.clip_grad, c.epochs, c.batch_size) for c in fair}) == 1
    for method, config in zip(METHODS, fair, strict=True):
        released = RECIPES[f"{column}/{method}"].config()
        assert (config == released) == (method not in LEARNED)
        assert config.optim.get("generator") == released.optim.get("generator")


def test_a_budget_scales_epochs_and_warm_up_and_lets_the_teacher_catch_up():
    recipe = RECIPES["cifar100_swin_t/mixup"]
    whole, part = recipe.config(), recipe.config(budget=0.1)
    assert (whole.epochs, part.epochs) == (200, 20)
    assert part.optim["student"].warmup_epochs == 2
    assert part.ema == replace(whole.ema, warmup=True)
    assert recipe.config(budget=1e-9).epochs == 1
    for budget in (0, -1, 1.5):
        with pytest.raises(UserError, match=r"budget must be above 0 and at most 1 \(all 200 epochs\), got"):
            recipe.config(budget=budget)


def whole(config):
    """Return what a Run records of the whole data set of a config."""
    classes, images = IMAGES.get(config.data, (10, 1000))
    return {"classes": list(range(classes)), "n_train": images, "n_validation": 0}


@pytest.mark.parametrize("name", ["cifar100_resnet18/adautomix", "tiny_imagenet_resnet18/mixup"])
def test_a_run_is_recognised_by_its_content(name):
    recipe = RECIPES[name]
    config = recipe.config(seed=5, budget=0.25, validation=0.1, precision="bfloat16")
    config = replace(config, options=resolve_options(config.method, config.options), root="elsewhere")
    match = recognise(config, whole(config))
    assert (match.recipe, match.budget, match.fair) == (recipe, 0.25, False)
    for change in ({"batch_size": 50}, {"per_class": 10}, {"label_smoothing": 0.1}, {"epochs": 10_000}):
        assert recognise(replace(config, **change), whole(config)) is None
    assert recognise(config, whole(config) | {"n_train": 100}) is None
    assert recognise(TrainConfig(), whole(TrainConfig())) is None


def test_a_fair_run_is_recognised_as_one():
    config = RECIPES["cub200_resnet18/adautomix"].config(fair=True, budget=0.5)
    match = recognise(config, whole(config))
    assert match.fair
    assert match.budget == 0.5


def test_the_outcome_says_what_a_number_may_be_compared_with():
    name, recipe = "cifar100_resnet18/adautomix", RECIPES["cifar100_resnet18/adautomix"]

    def said(config, **of_images):
        return outcome(name, config, whole(config) | of_images)

    assert said(recipe.config()) == f"{name}, all epochs; paper 82.32 %"
    assert "8 of 800 epochs: not comparable with the paper" in said(recipe.config(budget=0.01))
    held_out = said(recipe.config(validation=0.1), n_train=45_000, n_validation=5_000)
    assert "10 % of the training images held out: not comparable" in held_out
    assert "(fair)" in said(recipe.config(fair=True))
    assert "no longer the recipe" in said(replace(recipe.config(), batch_size=7))
    assert "no longer the recipe" in said(recipe.config(), n_train=100)
    assert said(RECIPES["cifar100_resnet18/cutmix"].config()) == "cifar100_resnet18/cutmix, all epochs; paper 78.17 %"


def test_only_what_is_free_can_be_given():
    with pytest.raises(UserError, match="batch_size is part of the recipe; only root, allow_missing"):
        RECIPES["cifar100_resnet18/mixup"].config(batch_size=7)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar100", "a recipe is named <column>/<method>"),
        ("cifar_resnet18/mixup", "unknown column of a recipe 'cifar_resnet18'; did you mean 'cifar100_resnet18'"),
        ("cifar100_resnet18/mixp", "unknown method of a recipe 'mixp'; did you mean 'mixup'"),
    ],
)
def test_unknown_recipes_are_explained(name, message):
    with pytest.raises(UserError, match=message):
        RECIPES[name]
