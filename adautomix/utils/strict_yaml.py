"""YAML as people write it: 1e-3 is a number, and a key given twice is a mistake. Nothing in it can run or grow."""

import re
from typing import Any

import yaml

from adautomix.utils.errors import UserError, first_line

LARGEST = 100_000
"""Values, aliases written out, beyond which a text is a bomb and no plan: ten lines of aliases can mean billions."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads 1e-3 as text and lets a later key silently replace an earlier one; neither is meant."""

    def construct_mapping(self, node, deep=False):
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key.value, str) and key.value != "<<":
                if key.value in seen:
                    raise UserError(f"{key.value!r} appears twice, line {node.start_mark.line + 1}")
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def parse(text: str) -> Any:
    """Return the value of a YAML text; raises UserError saying where it cannot be read."""
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if (size := _size(node, {})) > LARGEST:
            raise UserError(f"its aliases stand for {size:.0e} values, more than {LARGEST}")
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise UserError(str(error)) from error
    except RecursionError as error:
        raise UserError("it is nested too deeply") from error
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:  # "2001-13-45", "!!float x"
        if isinstance(error, UserError):
            raise
        raise UserError(f"a value does not fit its type: {first_line(error)}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values below a node, aliases counted as often as they stand there."""
    if id(node) not in known:
        known[id(node)] = LARGEST  # what holds itself has no end
        parts = [] if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]
