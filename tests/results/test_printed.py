"""The paper's tables in their own shape, and ours beside them."""

import pandas as pd
import pytest

from adautomix.figures import paper_table
from adautomix.results.printed import GAIN, best_of, our_block, paper_block, with_gain
from adautomix.results.reproduction import SETTINGS, cells
from adautomix.runs.identity import NUMERICS_VERSION
from adautomix.utils.errors import UserError


def test_the_papers_tables_have_its_rows_and_its_gains():
    first, second, third = (paper_block(number) for number in (1, 2, 3))
    assert "manifoldmix" not in first.index  # the paper has it in Table 2 alone
    assert "manifoldmix" in second.index
    assert first.loc[GAIN].round(2).tolist() == [0.28, 0.58, 1.66, 0.24, 1.86, 2.17, 0.36, 0.30, 0.13]  # as printed
    assert second.loc[GAIN].round(2).tolist() == [1.01, 0.69, 0.36, 0.44, 0.30, 0.21]
    assert third.loc[GAIN, "clean accuracy"] == pytest.approx(81.55 - 80.02)
    assert third.loc[GAIN].isna().sum() == 2  # three of the others' numbers cannot be read on the poster
    with pytest.raises(UserError, match="tables 1, 2 and 3"):
        paper_block(4)


def test_the_best_of_a_column_is_its_highest_accuracy_and_its_lowest_error():
    block = with_gain(pd.DataFrame({"a": [1.0, 3.0], "FGSM error": [5.0, 9.0]}, index=["mixup", "adautomix"]))
    best = best_of(block)
    assert best["a"].tolist() == [False, True, False]
    assert best["FGSM error"].tolist() == [True, False, False]
    assert block.loc[GAIN].tolist() == [2.0, -4.0]  # an error is to be low


def test_there_is_no_gain_over_methods_of_which_one_has_no_number():
    block = pd.DataFrame({"a": [1.0, float("nan"), 3.0]}, index=["mixup", "cutmix", "adautomix"])
    assert with_gain(block).isna().loc[GAIN, "a"]


def test_nothing_is_shown_where_nothing_ran():
    assert our_block(cells([], 1)).empty


def test_ours_say_what_they_depart_in_and_keep_the_papers_rows():
    made = cells([], 1).astype(dict.fromkeys(SETTINGS, object))
    for method, mean in (("mixup", 60.0), ("automix", 61.5), ("manifoldmix", 70.0)):
        own = (made["method"] == method) & (made["column"] == "cifar100_resnet18")
        made.loc[own, ["n", "mean", "epochs", "budget"]] = [1, mean, 8, 0.01]
        made.loc[own, ["held_out", "precision", "eval_precision"]] = [0, "float32", "float32"]
        made.loc[own, ["channels_last", "numerics", "imported"]] = [False, 1, 0]
    block = our_block(made)
    assert list(block.index) == ["mixup", "automix"]
    assert "8 of 800 epochs" in block.at["mixup", "CIFAR-100, ResNet-18"]
    assert best_of(block).loc["automix", "CIFAR-100, ResNet-18"]
    assert set(block["CIFAR-100, Swin-T"]) == {""}
    html = paper_table(block, best_of(block)).to_html()
    assert html.count("font-weight: bold") == 1


def test_a_table_is_shown_with_a_signed_gain():
    block = paper_block(1)
    html = paper_table(block, best_of(block), caption="Table 1").to_html()
    assert "+0.28" in html
    assert "Table 1" in html


def measured(*rows):
    """`cells` of CIFAR-100 and ResNet-18: method, mean and epochs of what was run."""
    made = cells([], 1).astype(dict.fromkeys(SETTINGS, object))
    made = made[made["column"] == "cifar100_resnet18"]
    kinds = {"precision": "float32", "eval_precision": "float32", "channels_last": False, "numerics": NUMERICS_VERSION}
    parts = []
    for method, mean, epochs in rows:
        own = made[made["method"] == method]
        ran = {"n": 1, "mean": mean, "epochs": epochs, "budget": epochs / 800, "held_out": 0, "imported": 0}
        parts.append(own.assign(**ran, **kinds, images="x"))
    return pd.concat([made, *parts])


def test_the_gain_is_over_the_numbers_shown_and_only_where_none_of_the_papers_is_missing():
    name, made = "CIFAR-100, ResNet-18", cells([], 1)
    methods = list(dict.fromkeys(made.loc[made["paper"].notna() & (made["column"] == "cifar100_resnet18"), "method"]))
    rows = [(method, 50.0 + place, 800) for place, method in enumerate(m for m in methods if m != "adautomix")]
    whole = our_block(measured(*rows, ("adautomix", 70.0, 800)))
    assert float(whole.at[GAIN, name]) == pytest.approx(70 - rows[-1][1])
    assert GAIN not in our_block(measured(*rows[1:], ("adautomix", 70.0, 800))).index
    assert GAIN not in our_block(measured(*rows[:-1], (rows[-1][0], 60.0, 8), ("adautomix", 70.0, 800))).index


def test_the_longest_training_comes_first_and_another_length_is_not_ranked_with_it():
    name = "CIFAR-100, ResNet-18"
    both = our_block(measured(("vanilla", 78.0, 800), ("mixup", 30.0, 8), ("mixup", 82.0, 800)))
    assert both.at["mixup", name] == "82.00; 30.00 (8 of 800 epochs)"
    assert best_of(both)[name].to_dict() == {"vanilla": False, "mixup": True}
    assert not best_of(our_block(measured(("vanilla", 78.0, 800), ("mixup", 30.0, 8))))[name].any()
