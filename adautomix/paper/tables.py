"""The paper's tables as data frames: what was published, to be set beside what was measured.

Source: the poster of Qin et al., "Adversarial AutoMixup", ICLR 2024, and, for four rows of Table 2 that cannot be read
there, the authors' repository. Cells that cannot be read are missing here. AdAutoMix's
numbers are its EMA teacher's, the plain mixups' are the student's, which had no teacher (the authors' log and code).
"""

from functools import cache
from pathlib import Path

import pandas as pd

TABLE3_READING = "CIFAR-100, ResNet-18"
"""The poster does not name Table 3's data set and network: our reading. AdAutoMix's numbers are its teacher's."""
COLUMN_NAMES = {
    "cifar100_resnet18": "CIFAR-100, ResNet-18",
    "cifar100_resnext50": "CIFAR-100, ResNeXt-50",
    "cifar100_swin_t": "CIFAR-100, Swin-T",
    "cifar100_convnext_t": "CIFAR-100, ConvNeXt-T",
    "tiny_imagenet_resnet18": "Tiny-ImageNet, ResNet-18",
    "tiny_imagenet_resnext50": "Tiny-ImageNet, ResNeXt-50",
    "imagenet_resnet18": "ImageNet-1K, ResNet-18",
    "imagenet_resnet34": "ImageNet-1K, ResNet-34",
    "imagenet_resnet50": "ImageNet-1K, ResNet-50",
    "cub200_resnet18": "CUB-200, ResNet-18",
    "cub200_resnet50": "CUB-200, ResNet-50",
    "aircraft_resnet18": "FGVC-Aircraft, ResNet-18",
    "aircraft_resnext50": "FGVC-Aircraft, ResNeXt-50",
    "cars_resnet18": "Stanford Cars, ResNet-18",
    "cars_resnext50": "Stanford Cars, ResNeXt-50",
}
"""Data set and network of every column of Tables 1 and 2, by the column's name in the CSV files."""
PUBLISHED_ROLE = {"automix": "teacher", "adautomix": "teacher"}
"""Whose number was published; the student's where a method is not named.

AdAutoMix's is in the authors' log. AutoMix's is our reading: its configuration ends at a high rate "for the momentum
encoder", and its code evaluates that.
"""


def table1() -> pd.DataFrame:
    """Return Table 1 (general classification), top-1 in percent, methods by data sets and networks."""
    return _read(1).copy()


def table2() -> pd.DataFrame:
    """Return Table 2 (fine-grained classification), as Table 1; its column `source` says where a row was read."""
    return _read(2).copy()


def table3() -> pd.DataFrame:
    """Return Table 3, a row per method: clean_accuracy, corruption_accuracy, fgsm_error (%), nan if unknown."""
    return _read(3).copy()


def columns(table: int) -> list[str]:
    """Return the names of the columns of Table 1 or 2, in the paper's order."""
    return [name for name in _read(table).columns if name != "source"]


def published(column: str, method: str) -> float | None:
    """Return the top-1 (percent) of a cell of Table 1 or 2, None where the table has none (ManifoldMix in Table 1)."""
    for table in (_read(1), _read(2)):
        if column in table:
            return float(table.at[method, column]) if method in table.index else None
    return None


@cache
def _read(number: int) -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name(f"table{number}.csv")).set_index("method")
