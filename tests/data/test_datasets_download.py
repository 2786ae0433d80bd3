"""Downloads: is a missing set fetched once, and otherwise said what to put where?"""

import re
import shutil
from urllib.error import URLError

import pytest
import torch
from helpers.layouts import load
from helpers.trees import write_tree

from adautomix.data import aircraft, cub200, tiny_imagenet
from adautomix.data.loader import train_loader
from adautomix.utils.errors import UserError

ARCHIVES = [module.ARCHIVE for module in (tiny_imagenet, cub200, aircraft)]


DOWNLOADED = pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.name)


@DOWNLOADED
def test_a_missing_set_is_downloaded_once_with_its_checksum(tmp_path, monkeypatch, archive):
    calls = []

    def unpack(file, folder):
        assert file == tmp_path / "new" / archive.url.rpartition("/")[2]
        write_tree(archive.name, folder)

    monkeypatch.setattr("adautomix.data.archives.download_url", lambda *args, md5: calls.append((*args, md5)))
    monkeypatch.setattr("adautomix.data.archives.unpack", unpack)
    first, second = load(archive.name, tmp_path / "new"), load(archive.name, tmp_path / "new")
    expected = {
        "tiny_imagenet": ("http://cs231n.stanford.edu/tiny-imagenet-200.zip", "90528d7ca1a48142e341f4ef8d21d0de"),
        "cub200": (
            "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            "97eceeb196236b17998738112f37df78",
        ),
        "aircraft": (
            "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",
            "d4acdd33327262359767eeaa97a4f732",
        ),
    }
    url, md5 = expected[archive.name]
    assert calls == [(url, tmp_path / "new", md5)]
    assert first.fingerprint == second.fingerprint
    assert {path.name for path in (tmp_path / "new").iterdir()} <= {archive.folder, ".lock"}


@DOWNLOADED
def test_an_archive_put_there_by_hand_is_unpacked_without_a_network(tmp_path, monkeypatch, archive):
    form = "zip" if archive.url.endswith("zip") else "gztar"
    write_tree(archive.name, tmp_path / "source")
    packed = shutil.make_archive(str(tmp_path / "packed"), form, tmp_path / "source")
    (tmp_path / "root").mkdir()
    shutil.move(packed, tmp_path / "root" / archive.url.rpartition("/")[2])
    monkeypatch.setattr("torchvision.datasets.utils.check_integrity", lambda path, md5=None: True)
    assert len(load(archive.name, tmp_path / "root").train) == 12


@DOWNLOADED
def test_a_failed_download_says_what_to_put_where_and_leaves_no_half_set(tmp_path, monkeypatch, archive):
    def half(file, folder):
        (folder / archive.folder / archive.parts[0]).mkdir(parents=True)
        raise URLError("network unreachable")

    monkeypatch.setattr("adautomix.data.archives.download_url", lambda *args, md5: None)
    monkeypatch.setattr("adautomix.data.archives.unpack", half)
    file = re.escape(archive.url.rpartition("/")[2])
    advice = rf"network unreachable.*put {file} from {re.escape(archive.url)} \(md5 {archive.md5}\) into {tmp_path}"
    for _ in range(2):
        with pytest.raises(
            UserError, match=rf"{advice}, or unpack it there so that {tmp_path / archive.folder} exists"
        ):
            load(archive.name, tmp_path)
    (tmp_path / archive.url.rpartition("/")[2]).write_bytes(b"cut off")
    with pytest.raises(UserError, match=rf"network unreachable.*; the {file} there is not whole"):
        load(archive.name, tmp_path)


def test_sets_without_a_download_say_where_to_get_them(tmp_path):
    with pytest.raises(UserError, match=r"no folder .*train and no .*val.*ILSVRC2012_img_val.tar.*image-net.org"):
        load("imagenet", tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"cars is not in .*address is dead.*Kaggle or Hugging Face.*cars_meta.mat"):
        load("cars", tmp_path / "nowhere")


def test_imagenets_validation_images_alone_can_be_evaluated_on_but_not_trained_on(tmp_path):
    write_tree("imagenet", tmp_path, classes=3)
    shutil.rmtree(tmp_path / "train")
    dataset = load("imagenet", tmp_path)
    assert (len(dataset.train), len(dataset.test), dataset.num_classes) == (0, 6, 3)
    with pytest.raises(UserError, match="imagenet holds no training images, only test images"):
        train_loader(dataset, 2, device=torch.device("cpu"), seed=0)
    with pytest.raises(UserError, match=r"per_class=1, but class .* has 0 training images"):
        dataset.first_per_class(1)
