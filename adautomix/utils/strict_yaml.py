"""YAML as people write it: 1e-3 is a number, and a key given twice is a mistake."""

import re
from typing import Any

import yaml

from adautomix.utils.errors import UserError


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads 1e-3 as text and lets a later key silently replace an earlier one; neither is meant."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1 and key != "<<":
                raise UserError(f"{key!r} appears twice, line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def parse(text: str) -> Any:
    """Return the value of a YAML text; raises UserError saying where it cannot be read."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise UserError(str(error)) from error
