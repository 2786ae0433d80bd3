"""YAML as people write it: 1e-3 is a number, and a key given twice is a mistake. Nothing in it can run or grow.

What it holds can be written as JSON: there are no dates and no sets.
"""

import re
from typing import Any

import yaml

from adautomix.utils.errors import UserError, first_line

LARGEST = 100_000
"""Values, aliases written out, beyond which a text is a bomb and no plan: ten lines of aliases can mean billions."""

TAG = "tag:yaml.org,2002:"
NUMBERS = {
    TAG + "int": r"^[-+]? (0 | [1-9][\d_]* | 0b[01_]+ | 0x[\da-fA-F_]+)$",
    TAG + "float": r"^([-+]? (\d[\d_]* (\.[\d_]*)? [eE][-+]?\d+ | \d[\d_]*\.[\d_]* | \.\d[\d_]* ([eE][-+]?\d+)? |"
    r" \.(inf|Inf|INF)) | \.(nan|NaN|NAN))$",
}
DATE = TAG + "timestamp"
NO_JSON = [TAG + name for name in ("binary", "set", "omap", "pairs")]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads 1e-3 as text, 1:30 as 90 and 010 as 8, and lets a later key silently replace an earlier one.

    Nothing of that is meant: 1:30, 010 and 2024-01-01 are text here.
    """

    yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in known if tag not in {*NUMBERS, DATE}]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {
        tag: how for tag, how in yaml.SafeLoader.yaml_constructors.items() if tag not in {DATE, *NO_JSON}
    }

    def construct_mapping(self, node, deep=False):
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key.value, str) and key.value != "<<":
                if key.value in seen:
                    raise UserError(f"{key.value!r} appears twice, line {node.start_mark.line + 1}")
                seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _form in NUMBERS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(_form, re.VERBOSE), list("-+.0123456789"))


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
