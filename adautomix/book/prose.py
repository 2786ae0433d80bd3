"""The prose of a Markdown text: what a link may be put into, and what stays as it is."""

import re
from collections.abc import Callable

_NOT_PROSE = re.compile(
    r"""
      ^[ ]{0,3}(?P<fence>`{3,}|~{3,}|:{3,}).*?^[ ]{0,3}(?P=fence)[`~:]*[ ]*$  # fenced code, a directive
    | (?:\A|(?<=\n\n))(?:[ ]{4}[^\n]*\n?)+                        # indented code
    | ^[ ]{0,3}\#{1,6}[ ][^\n]*                                   # a heading
    | ^[ ]{0,3}</?[a-zA-Z!](?:(?!\n[ ]*\n).)*                     # a block of HTML, to the next empty line
    | ^\([\w-]+\)=[ ]*$                                           # a target
    | \\begin\{(?P<name>[a-z*]+)\}.*?\\end\{(?P=name)\}
    | \\[$`\[\]\\]                                                # an escaped sign opens nothing
    | \$\$.*?\$\$
    | \$(?![\s$])(?:\\.|(?!\n[ ]*\n)[^$\\])*\$                    # a formula
    | (?P<code>(?P<ticks>`+)(?!`)(?:(?!\n[ ]*\n).)+?(?<!`)(?P=ticks)(?!`))
    | !?\[(?:`[^`]*`|[^\[\]]|\[[^\[\]]*\])*\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\])    # a link, a picture
    | \{[\w:-]+\}(?=`)                                            # a role's name
    | <[^<>\n]+>                                                  # a tag, an address
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)


def edit_prose(text: str, edit: Callable[[str], str], code: Callable[[str], str] = str) -> str:
    """Return a Markdown text with its prose edited, piece by piece in order; `code` edits short code in a line.

    Headings, blocks of code, formulas, links, pictures, HTML and MyST's roles stay as they are. A piece ends where one
    of these begins, so an edit never sees half of them.
    """
    parts, end, role = [], 0, False
    for found in _NOT_PROSE.finditer(text):
        parts.append(edit(text[end : found.start()]))
        parts.append(code(found[0]) if found["code"] and not role else found[0])
        end, role = found.end(), found[0].startswith("{")
    return "".join([*parts, edit(text[end:])])
