"""The cache of decoded images: when is there one, what does it keep, when does it stop?"""

from pathlib import Path

import numpy as np
import pytest
from helpers.batches import nine_files
from PIL import Image

from adautomix.data import cache
from adautomix.data.cache import ImageCache, available_memory, cache_for, start_method


@pytest.fixture
def files(tmp_path):
    return nine_files(tmp_path)


def test_a_kept_image_comes_back_to_the_last_bit_and_one_of_another_size_is_not_kept():
    kept = ImageCache(np.array([0, 5 * 4 * 3, 12]))
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8))
    for index in (0, 1, 2):
        assert kept.get(index) is None
        kept.put(index, image)
    assert kept.filled.tolist() == [False, True, False]
    assert kept.get(1).size == (5, 4)
    assert np.array_equal(np.asarray(kept.get(1)), np.asarray(image))


@pytest.mark.parametrize(
    ("memory", "start", "fits"),
    [(10**9, "fork", True), (200_000, "fork", False), (None, "fork", False), (10**9, "spawn", False)],
)
def test_there_is_a_cache_only_if_all_images_fit_and_workers_can_share_it(files, monkeypatch, memory, start, fits):
    monkeypatch.setattr(cache, "available_memory", lambda: memory)
    monkeypatch.setattr(cache.multiprocessing, "get_start_method", lambda allow_none: start)
    paths = files.train.paths
    assert (cache_for(paths, range(9), workers=2) is not None) == fits
    assert (cache_for(paths, range(9), workers=0) is not None) == (fits or start == "spawn")


@pytest.mark.parametrize(
    ("methods", "chosen", "expected"),
    [
        (["fork", "spawn", "forkserver"], None, "fork"),
        (["forkserver", "fork", "spawn"], None, "fork"),  # Python 3.14
        (["forkserver", "fork", "spawn"], "forkserver", "fork"),  # whatever was asked first has made it so
        (["fork", "spawn", "forkserver"], "forkserver", "forkserver"),
        (["forkserver", "fork", "spawn"], "spawn", "spawn"),
    ],
)
def test_readers_are_forked_on_linux_unless_somebody_chose_otherwise(monkeypatch, methods, chosen, expected):
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.setattr(cache.multiprocessing, "get_all_start_methods", lambda: methods)
    monkeypatch.setattr(cache.multiprocessing, "get_start_method", lambda allow_none: chosen)
    assert start_method() == expected


def test_a_hopeless_cache_is_given_up_after_a_sample_of_the_headers(monkeypatch):
    asked = []
    monkeypatch.setattr(cache, "_bytes_decoded", lambda path: asked.append(path) or 10**6)
    monkeypatch.setattr(cache, "available_memory", lambda: 10**10)
    assert cache_for([Path("a.jpg")] * 100_000, range(100_000), workers=0) is None
    assert len(asked) < 200


def test_nothing_more_is_kept_when_others_have_taken_the_memory(monkeypatch):
    kept = ImageCache(np.array([12, 12]), reserve=100)
    image = Image.new("RGB", (2, 2))
    monkeypatch.setattr(cache, "CHECK_EVERY", 1)
    for index, memory in enumerate((100, 99)):
        monkeypatch.setattr(cache, "available_memory", lambda memory=memory: memory)
        kept.put(index, image)
    assert kept.filled.tolist() == [True, False]


def test_the_limits_of_a_control_group_count(tmp_path, monkeypatch):
    group = tmp_path / "job"
    group.mkdir()
    for name, text in (
        ("max", "1000000\n"),
        ("current", "900000\n"),
        ("stat", "active_file 200000\ninactive_file 1\n"),
    ):
        (group / f"memory.{name}").write_text(text)
    files = ("memory.max", "memory.current", "")
    assert list(cache._left(str(tmp_path), *files, "job/step")) == [300001]
    assert available_memory() > 10**6
