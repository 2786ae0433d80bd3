"""The paper's tables as data frames: what was published, to be set beside what was measured.

Source: the poster of Qin et al., "Adversarial AutoMixup", ICLR 2024. Cells that cannot be read there are missing here.
"""

from pathlib import Path

import pandas as pd

TABLE3_READING = "CIFAR-100, ResNet-18"
"""The poster does not name Table 3's data set and network: our reading. AdAutoMix's numbers are its teacher's."""


def table3() -> pd.DataFrame:
    """Return Table 3, a row a method: clean_accuracy, corruption_accuracy and fgsm_error in percent, nan if unknown."""
    return pd.read_csv(Path(__file__).with_name("table3.csv")).set_index("method")
