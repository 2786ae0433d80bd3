"""What the fork server imports once for all kernels: see `warm`."""

import pandas  # noqa: F401
import timm  # noqa: F401
import torch  # noqa: F401
import torchvision  # noqa: F401
