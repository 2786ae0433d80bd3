"""What a method refuses, and says so: options of another type, and batches that torch would trip over later."""

import pytest
from helpers.tiny import CLASSES, tiny_batch

from adautomix.methods.base import MixMethod
from adautomix.methods.ops.mixing import require_batch
from adautomix.utils.errors import UserError


class Sized(MixMethod):
    """A method of somebody's own, with an option that need not be given."""

    def __init__(self, *, size: int | None = None, share: "float | None" = None) -> None:
        self.size, self.share = size, share


def test_an_option_that_need_not_be_given_is_of_its_annotations_type():
    assert Sized.resolve({}) == {"size": None, "share": None}
    assert Sized.resolve({"size": 3, "share": 1}) == {"size": 3, "share": 1.0}
    assert Sized.resolve({"size": None})["size"] is None
    with pytest.raises(UserError, match="size of sized must be int or nothing, got 'big'"):
        Sized.resolve({"size": "big"})


def test_an_option_that_no_shell_can_say_is_refused_before_a_run_is_made_of_it():
    class Paired(MixMethod):
        def __init__(self, *, sides: tuple[int, int] = (2, 4)) -> None: ...

    with pytest.raises(UserError, match=r"Paired\(sides=\(2, 4\)\): an option is a number.*make several of it"):
        Paired.resolve({})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x, y: (x, y + CLASSES), f"labels must be 0 to {CLASSES - 1}, got"),
        (lambda x, y: (x, y - 1 - y.min()), f"labels must be 0 to {CLASSES - 1}, got -1"),
        (lambda x, y: (x, y[:-1]), "a label for every image, got 4 images and 3 labels"),
    ],
)
def test_what_is_no_batch_is_told_before_torch_would(any_method, start, spoil, message):
    method, ctx = start(any_method)
    with pytest.raises(UserError, match=message):
        method.step(*spoil(*tiny_batch(4, 8)), ctx)


def test_images_as_a_loader_of_somebodys_may_give_them_are_told():
    x, y = tiny_batch(4, 8)
    with pytest.raises(UserError, match="images and labels must be tensors, got ndarray and Tensor"):
        require_batch(x.numpy(), y)
    with pytest.raises(UserError, match=r"got torch\.uint8: divide by 255"):
        require_batch((x * 255).byte(), y)
