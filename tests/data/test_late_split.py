"""Files up to 64 px: are they decoded when they are needed, once, and those not needed never?"""

import pytest
import torch
from helpers.trees import insects

from adautomix.config import TrainConfig
from adautomix.data import load_dataset
from adautomix.data.loader import eval_loader
from adautomix.evaluate.runs import evaluate_run
from adautomix.training.loop import train

CPU = torch.device("cpu")


@pytest.fixture
def tree(tmp_path):
    return insects(tmp_path)


def test_files_up_to_64_px_are_decoded_at_first_use_and_once(tree, monkeypatch):
    decoded = []
    monkeypatch.setattr("adautomix.data.images.to_rgb", lambda file: decoded.append(file) or file.convert("RGB"))
    dataset = load_dataset("folder", root=tree, size=16, validation=0.4)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (8, 4, 6)
    assert len(dataset.train.take(torch.tensor([1, 2]))) == 2
    assert not decoded
    for _ in range(2):
        eval_loader(dataset, 4, device=CPU)
    assert len(decoded) == 6
    assert dataset.train.take(torch.tensor([1, 2])).images.shape == (2, 3, 16, 16)
    assert len(decoded) == 8


def test_asking_for_a_run_that_is_done_decodes_nothing_and_evaluating_it_the_test_images_only(tree, monkeypatch):
    config = TrainConfig(data="folder", root=str(tree), size=8, method="vanilla", width=4, epochs=1, batch_size=4)
    runs, decoded = tree.parent / "runs", []
    run = train(config, runs, log=lambda line: None)
    monkeypatch.setattr("adautomix.data.images.to_rgb", lambda file: decoded.append(file) or file.convert("RGB"))
    assert train(config, runs, log=lambda line: None).path == run.path
    assert not decoded
    evaluate_run(run, ("accuracy",), force=True, log=lambda line: None)
    assert len(decoded) == 6
