"""Plain American English, for the tests of what nodes say and of what the library says."""

import ast
import re

# As patterns, with what to write in their place.
NOT_PLAIN = {
    r"(?<!there )\bis no (?!longer)": "is not a",
    r"\bA number (that|which)\b": "Number of, Random seed ...",
    r"[Cc]olour": "color", r"[Gg]rey": "gray", r"[Cc]entre": "center", r"\b([Mm]illi|[Kk]ilo)?[Mm]etres?\b": "meter",
    r"[Nn]eighbour": "neighbor", r"[Ll]icence": "license", r"[Bb]ehaviour": "behavior", r"[Cc]ancelled": "canceled",
    r"(?i)\b(normal|minim|maxim|quant|optim|initial|recogn|raster|synchron)is(e|ed|er|es|ing|ation)\b": "-iz-",
}


def text_of(node: ast.expr | None) -> str | None:
    """A string literal with {} where something is filled in; None for any other expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def find_faults(words: str) -> list[str]:
    return [f"{found[0]!r}: {better}" for pattern, better in NOT_PLAIN.items() for found in re.finditer(pattern, words)]
