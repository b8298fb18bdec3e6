"""What the camera editor may ask of the server: JSON read within limits, every field checked by type and range."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, get_args

from aiohttp import web

from ..ex4d_ops.clip import Fit
from ..ex4d_ops.rules import Relative, RenderRules, Texture
from .camera import MAX_FRAMES
from .kept_scenes import SEAL, TOKEN

LARGEST_BODY = 1 << 18  # bytes
LARGEST_FILE = 8 << 20  # bytes of a path to import, written in base64
LONGEST_TEXT = 100_000  # letters of keyframes
LONGEST_NAME = 200  # letters of anything short


class Reason(Enum):
    """Why an honest request has no answer, in a word for the page."""

    NO_SCENE = "no scene"
    KEYFRAMES = "keyframes"
    SETTINGS = "settings"
    FILE = "file"
    NOTHING = "nothing"
    STALE = "stale"


class Refused(Exception):
    """A request that no page of ours makes: the HTTP status, and why."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Unanswered(Exception):
    """An honest request that has no answer: why, in a word for the page and in a sentence for people."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True)
class Check:
    """What a field must be: fits tells, must says it in words, take makes of it what is worked with."""

    fits: Callable[[Any], bool]
    must: str
    take: Callable[[Any], Any] = lambda value: value


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def text(most: int) -> Check:
    return Check(lambda value: isinstance(value, str) and len(value) <= most, f"text of at most {most} letters")


def choice(*options: str) -> Check:
    return Check(lambda value: value in options, f"one of {', '.join(options)}")


def number(low: float, high: float) -> Check:
    return Check(lambda value: (is_whole(value) or isinstance(value, float)) and low <= value <= high,
                 f"a number in {low:g}..{high:g}", float)


def whole(low: int, high: int) -> Check:
    return Check(lambda value: is_whole(value) and low <= value <= high, f"a whole number in {low}..{high}")


def either(word: str, check: Check) -> Check:
    """A word, or what another check takes."""
    return Check(lambda value: value == word or check.fits(value), f"{word} or {check.must}",
                 lambda value: value if value == word else check.take(value))


def is_key(value: object) -> bool:
    return isinstance(value, str) and len(value) == TOKEN + SEAL and not set(value) - set("0123456789abcdef")


TRUTH = Check(lambda value: isinstance(value, bool), "true or false")
MAPPING = Check(lambda value: isinstance(value, dict), "an object")
KEY = Check(is_key, "the id of a scene")
RULES_FIELDS: dict[str, Check] = {"texture": choice(*get_args(Texture)), "anchor_first": TRUTH,
                                  "erosion": either("released", whole(0, 64)), "seed": whole(0, 2**32 - 1)}
RULES = Check(MAPPING.fits, MAPPING.must, lambda value: RenderRules(**check_fields(value, RULES_FIELDS)))
SETTINGS: dict[str, Check] = {
    "scene": KEY, "editor": text(64), "keyframes": text(LONGEST_TEXT), "smooth": TRUTH,
    "frames": whole(0, MAX_FRAMES), "radius": number(0, 1e6), "width": whole(0, 8192), "height": whole(0, 8192),
    "focal": number(0, 1e6), "fit": choice(*get_args(Fit)), "relative": choice(*get_args(Relative)), "keep_aim": TRUTH}


@dataclass(frozen=True)
class Asked:
    """What a page asks about a path: the node's settings, and which editor of the page it is."""

    scene: str
    editor: str
    keyframes: str = ""
    smooth: bool = True
    frames: int = 0
    radius: float = 0.0
    width: int = 0
    height: int = 0
    focal: float = 0.0
    fit: Fit = "crop"
    relative: Relative = "world"
    keep_aim: bool = False
    rest: dict[str, Any] = field(default_factory=dict)  # what else this route takes


def read_settings(said: dict, more: dict[str, Check]) -> Asked:
    """A checked request: the settings, and the fields that a route takes besides."""
    checked = check_fields(said, SETTINGS | more, ("scene", "editor"))
    return Asked(**{name: value for name, value in checked.items() if name not in more},
                 rest={name: checked[name] for name in more if name in checked})


def check_fields(said: dict, known: dict[str, Check], needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of an object, each checked; Refused where one is unknown, wrong or missing."""
    for name in (*said, *needed):
        if name not in known:
            raise Refused(400, f"{name[:LONGEST_NAME]!r} is unknown; use {', '.join(known)}")
        if name not in said:
            raise Refused(400, f"{name} is missing")
        if not known[name].fits(said[name]):
            raise Refused(400, f"{name} must be {known[name].must}")
    return {name: known[name].take(value) for name, value in said.items()}


async def read_body(request: web.Request, most: int = LARGEST_BODY) -> dict:
    """The JSON object of a request. Refused where it is not called JSON, is none, or is larger than most bytes."""
    if request.content_type != "application/json":
        raise Refused(415, "the content type must be application/json")
    body = bytearray()
    if (request.content_length or 0) <= most:
        async for part in request.content.iter_chunked(1 << 16):
            body += part
            if len(body) > most:
                break
    if (request.content_length or 0) > most or len(body) > most:
        raise Refused(413, f"the request is larger than {most} bytes")
    try:
        said = json.loads(body, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(said, dict):
        raise Refused(400, "the body must be a JSON object")
    return said


def refuse_constant(name: str) -> float:
    raise ValueError(name)


def rounded(value: Any) -> Any:
    """Numbers of an answer with six digits behind the point; what is not finite becomes null."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, (list, tuple)) else value
