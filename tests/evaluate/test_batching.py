"""Batches cut anew, and counted: every image once, under its own number, in full float32, of any network."""

from types import SimpleNamespace

import pytest
import torch
from helpers.tiny import CLASSES, tiny_batch, tiny_classifier

from adautomix.evaluate.accuracy import predict
from adautomix.evaluate.batching import count_right, fixed_batches, full_float32, logits_of
from adautomix.utils.errors import UserError

X, Y = torch.arange(10.0).view(10, 1, 1, 1).expand(10, 3, 2, 2), torch.arange(10)


def cut(size, *tensors):
    return list(zip(*(t.split(size) for t in tensors), strict=True))


@pytest.mark.parametrize("given", [1, 3, 4, 10])
@pytest.mark.parametrize(("size", "wanted"), [(4, [4, 4, 2]), (5, [5, 5]), (20, [10])])
def test_rebatched_images_come_in_order_and_in_one_size(given, size, wanted):
    batches = list(fixed_batches(cut(given, X, Y, Y), size))
    assert [len(y) for _, y in batches] == wanted
    assert torch.equal(torch.cat([x for x, _ in batches]), X)
    assert torch.equal(torch.cat([y for _, y in batches]), Y)
    assert not list(fixed_batches([], size))


def test_right_answers_are_counted_by_version_and_images_without_an_index_are_numbered(student):
    numbers, x, y = [], 0.1 * torch.ones(5, 3, 4, 4), torch.tensor([0, 1, 0, 1, 1])

    def versions(x, y, index):
        numbers.extend(index.tolist())
        for version, answer in (("zeros", 0), ("ones", 1)):
            yield version, torch.eye(2)[torch.full_like(y, answer)]

    counts = count_right(student.eval(), cut(2, x, y), versions)
    assert counts.right == {"zeros": 2, "ones": 3}
    assert counts.top1("ones") == 60
    assert (counts.n, counts.size) == (5, (4, 4))
    assert numbers == [0, 1, 2, 3, 4]
    count_right(student, cut(2, x, y, torch.arange(7, 12)), versions)
    assert numbers[5:] == [7, 8, 9, 10, 11]


@pytest.mark.parametrize("labels", [torch.zeros(4, 1, dtype=torch.long), torch.tensor([0, 1, 2, 99])])
def test_labels_that_are_no_class_ids_are_refused_and_not_counted(labels):
    model, (x, _) = tiny_classifier().eval(), tiny_batch()
    with pytest.raises(UserError, match="labels must be"):
        count_right(model, [(x, labels)], lambda x, y, index: [("clean", logits_of(model, x))])
    with pytest.raises(UserError, match="labels must be"):
        predict(model, [(x, labels)])


def kinds():
    return torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn


def precisions():
    return [kind.fp32_precision for kind in kinds()]


@pytest.fixture
def as_torch_was():
    if not hasattr(torch.backends.cudnn, "conv"):
        pytest.skip("torch before 2.9 has the older settings alone")
    before = precisions()
    yield
    for kind, was in zip(kinds(), before, strict=True):
        kind.fp32_precision = was


@pytest.mark.usefixtures("as_torch_was")
@pytest.mark.parametrize("users", ["nothing", "medium", "tf32"])
def test_evaluators_compute_in_full_float32_and_leave_torchs_setting(users):
    """Torch has an older and a newer setting, and refuses to read the older where the newer was used."""
    if users == "medium":
        torch.set_float32_matmul_precision("medium")
    if users == "tf32":
        torch.backends.cudnn.conv.fp32_precision = torch.backends.cuda.matmul.fp32_precision = "tf32"
    model, before, during = tiny_classifier().eval(), precisions(), []

    def versions(x, y, index):
        during.append(precisions()[:2])
        return [(0, logits_of(model, x))]

    count_right(model, [tiny_batch()], versions)
    assert during == [["ieee", "ieee"]]
    assert precisions() == before
    if users == "medium":
        assert torch.get_float32_matmul_precision() == "medium"


def test_the_older_settings_are_put_back_where_there_are_no_others(monkeypatch):
    matmul, cudnn = SimpleNamespace(allow_tf32=False), SimpleNamespace(allow_tf32=True)
    backends = SimpleNamespace(cudnn=cudnn, cuda=SimpleNamespace(matmul=matmul))
    with monkeypatch.context() as older:
        older.setattr(torch, "backends", backends)
        with full_float32():
            assert (matmul.allow_tf32, cudnn.allow_tf32) == (False, False)
    assert (matmul.allow_tf32, cudnn.allow_tf32) == (False, True)


def test_a_network_that_does_not_say_how_many_classes_it_has_is_evaluated_and_its_labels_are_checked():
    classifier = tiny_classifier().eval()
    wrapped = torch.nn.DataParallel(classifier).eval()
    x, y = tiny_batch()
    of_both = [
        count_right(model, [(x, y)], lambda x, y, i, on=model: [(0, logits_of(on, x))])
        for model in (classifier, wrapped)
    ]
    assert of_both[0] == of_both[1]
    for batches in ([(x, y + CLASSES)], [(x, y), (x, y + CLASSES)]):
        with pytest.raises(UserError, match=f"labels must be 0 to {CLASSES - 1}, got"):
            count_right(wrapped, batches, lambda x, y, i: [(0, logits_of(wrapped, x))])
