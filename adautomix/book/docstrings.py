"""The package's docstrings in the form that Sphinx reads.

They say `Returns: what` on one line where napoleon expects the text below, and write |x| and [B, *shape] as everybody
does, which reStructuredText takes for markup.
"""

import re
from typing import Any

SECTION = re.compile(r"(Returns|Raises|Source|Yields): (.+)")
MARKUP = re.compile(r"(?<!\\)[|*]")


def for_sphinx(lines: list[str]) -> list[str]:
    """Return a docstring's lines: one-line sections spread over two, examples marked as such, `|` and `*` literal."""
    result, section, example = [], "", False
    for before, line in zip(["", *lines], lines, strict=False):
        indented = line.startswith("    ")
        example = (indented or not line) and (example or (indented and not before and not section))
        found = SECTION.fullmatch(line)
        section = found[1] if found else section if indented else ""
        if found:
            text = _error_first(found[2]) if section == "Raises" else found[2]
            result += ["", f"{section}:", f"    {_literal(text)}"]
        elif example:
            result += [*([] if result and result[-1].startswith("    ") else ["::", ""]), line] if line else [line]
        else:
            result.append(("    " if section == "Raises" else "") + _literal(line))
    return result


def process(_app: Any, what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Sphinx's event `autodoc-process-docstring`: edits the lines in place."""
    lines[:] = for_sphinx(lines)
    if what in ("data", "attribute"):  # of "limit: so and so" in the first line napoleon makes a type
        lines.insert(0, "")


def signature(
    _app: Any, _what: str, _name: str, _obj: Any, _options: Any, arguments: str | None, result: str | None
) -> tuple[str | None, str | None]:
    """Sphinx's event `autodoc-process-signature`: a dataclass's <factory> is no Python, and would stop the parsing."""
    return arguments and arguments.replace("<factory>", "..."), result


def _literal(line: str) -> str:
    """Return the line with markup characters escaped outside of `code`."""
    parts = line.split("`")
    return "`".join(MARKUP.sub(r"\\\g<0>", part) if i % 2 == 0 else part for i, part in enumerate(parts))


def _error_first(text: str) -> str:
    """Return "UserError for x" as "UserError: for x", the form of napoleon's lists."""
    return re.sub(r"^(\w+Error)\b:?\s*", r"\1: ", text)
