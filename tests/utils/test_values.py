"""Values as people give them: what is read as a number, and is the rest refused in a sentence?"""

import json

import pytest

from adautomix.config import OptimConfig, TrainConfig
from adautomix.utils.errors import UserError
from adautomix.utils.seeding import choose_device
from adautomix.utils.strict_yaml import parse


@pytest.mark.parametrize("text", ["1:30", "1:30.5", "010", "-07", "2024-01-01", "2024-01-01 12:00:00", "e5", "1e", "."])
def test_what_is_no_number_to_people_is_text(text):
    assert parse(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("0", 0), ("-3", -3), ("1_000", 1000), ("0x1F", 31), ("0b11", 3), ("+2", 2)),
        *(("007.5", 7.5), (".5", 0.5), ("1.", 1.0), ("5e-4", 5e-4), ("-2.5E+2", -250.0), ("1.5e3", 1500.0)),
        *((".inf", float("inf")), ("-.5e1", -5.0)),
    ],
)
def test_numbers_are_numbers(text, value):
    assert (parse(text), type(parse(text))) == (value, type(value))


def test_what_is_set_can_be_written_as_json():
    assert json.dumps(parse("{start: 2024-01-01, 1: [a, null, true]}"))
    for text in ("!!timestamp 2024-01-01", "!!set {a, b}", "!!binary aGVsbG8="):
        with pytest.raises(UserError, match="could not determine a constructor"):
            parse(text)


def test_settings_beyond_what_can_be_computed_with_are_refused():
    with pytest.raises(UserError, match=r"lr must be a finite number of 1e\+30 at most, got 1e\+300"):
        OptimConfig(lr=1e300)
    with pytest.raises(UserError, match="label_smoothing must be a finite number, got inf"):
        TrainConfig(label_smoothing=10**400)


def test_a_device_from_which_nothing_comes_back_is_refused():
    with pytest.raises(UserError, match="device 'meta' cannot be used here"):
        choose_device("meta")
