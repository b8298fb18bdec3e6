"""Camera moves: the released presets, orbits, dollies and the rest, and how they are written.

A move animates a few channels of one rig, and moves compose by adding their channels, so their order does not matter.
The rig circles the target, a point `radius` in front of source frame 0, on two angles; slides along the axes of the
camera so placed; then turns in place; then zooms. It is built from rotations, so that it passes the poles. Paths are
anchored in the world, the camera of source frame 0: where VideoDepth.world_from_cam is given they need nothing more.

channel    unit               positive means
yaw        degrees            the camera circles to the right, looking at the target
pitch      degrees            the camera circles upwards, looking at the target
dolly      share of radius    forward
truck      share of radius    right
pedestal   share of radius    up
pan        degrees            looks right
tilt       degrees            looks up
roll       degrees            the camera leans to its right, so the picture turns counter-clockwise
zoom       factor             above 1: longer focal length, narrower view
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # moves are chosen and checked before torch is asked for
    from torch import Tensor

RELEASED_FRAMES = 49  # the clip length the released presets are written for
RELEASED_RISE = 0.2  # share of the radius; released code
CHANNELS = ("yaw", "pitch", "dolly", "truck", "pedestal", "pan", "tilt", "roll", "zoom")
Channels: TypeAlias = "dict[str, Tensor]"  # [T] float64 each: radians, shares of the radius, focal factors

EASES: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda t: t,
    "ease-in": lambda t: t * t,
    "ease-out": lambda t: t * (2 - t),
    "ease-in-out": lambda t: t * t * (3 - 2 * t),
    "there-and-back": lambda t: (math.pi * t).sin() ** 2,
}


@dataclass(frozen=True)
class Parameter:
    """One setting of a move, as the command line and a node's socket show it; low and high are included.

    It ramps from start to its value over the clip (`yaw=60`, or `yaw=-60..60` with another start); a setting whose
    start is None stays the same throughout. rest: its value in place of the default where only others are named, so
    that `orbit:pitch=30` rises and does not turn. first: what a new node shows, where that is not the default.
    """

    name: str
    default: float
    low: float
    high: float
    unit: str
    help: str
    start: float | None = 0.0
    rest: float | None = None
    first: float | None = None

    @property
    def offered(self) -> float:
        """What a new node shows."""
        return self.default if self.first is None else self.first


@dataclass(frozen=True)
class MoveKind:
    """One row of the table of moves.

    animate(values, progress) gives the channels of the rig it moves; values: every parameter ramped, [T], radians for
    degrees; progress: [T] in 0..1, eased.
    """

    help: str
    animate: Callable[[Channels, Tensor], Channels]
    parameters: tuple[Parameter, ...] = ()
    ease: str = "linear"


@dataclass(frozen=True)
class Move:
    """One move of a path: its name in MOVES, (start, end) of its parameters in their units, its ease."""

    name: str
    values: dict[str, tuple[float, float]]
    ease: str


def released(preset: int) -> Callable[[Channels, Tensor], Channels]:
    """The released sweep of this name, as angles and distance from the target. 180 sees it from about +-45 degrees."""

    def animate(values: Channels, progress: Tensor) -> Channels:
        frames = len(progress)
        rounds = max(frames, RELEASED_FRAMES) / min(frames, RELEASED_FRAMES)
        angle = math.radians(360 if preset == 180 else preset) * rounds * progress
        # The eye seen from the target, in shares of the radius.
        height = RELEASED_RISE * (1 - (angle.cos() if preset == 180 else angle.cos().abs()))
        back = angle.new_ones(len(angle)) if preset == 180 else angle.cos().abs()
        level = angle.sin().hypot(back)
        return {"yaw": angle.sin().atan2(back), "pitch": height.atan2(level),
                "dolly": 1 - level.hypot(height)}

    return animate


def animate_as(**channels: str) -> Callable[[Channels, Tensor], Channels]:
    """The move whose channels are parameters as they are: animate_as(dolly="distance")."""
    return lambda values, progress: {channel: values[name] for channel, name in channels.items()}


def animate_dolly_zoom(values: Channels, progress: Tensor) -> Channels:
    return {"dolly": values["distance"], "zoom": 1 - values["distance"]}


def animate_spiral(values: Channels, progress: Tensor) -> Channels:
    phase = 2 * math.pi * values["turns"]
    return {"yaw": values["angle"] * phase.cos(), "pitch": values["angle"] * phase.sin(), "dolly": values["distance"]}


def animate_figure_eight(values: Channels, progress: Tensor) -> Channels:
    phase = 2 * math.pi * values["turns"]
    return {"yaw": values["yaw"] * phase.sin(), "pitch": values["pitch"] * (2 * phase).sin()}


def degrees(name: str, default: float, help: str, limit: float = 180.0, **more) -> Parameter:
    return Parameter(name, default, -limit, limit, "degrees", help, **more)


def share(name: str, default: float, help: str, high: float = 10.0) -> Parameter:
    return Parameter(name, default, -10.0, high, "share of the radius", help)


TURNS = Parameter("turns", 1.0, -20.0, 20.0, "turns", "Number of turns. Negative values circle the other way.")

MOVES: dict[str, MoveKind] = {
    "static": MoveKind("Stays where the source camera was in frame 0.", animate_as()),
    "preset-30": MoveKind("Released preset. Circles 30 degrees to the right.", released(30)),
    "preset-60": MoveKind("Released preset. Circles 60 degrees to the right.", released(60)),
    "preset-90": MoveKind("Released preset. Circles 90 degrees to the right.", released(90)),
    "preset-180": MoveKind("Released preset. Circles 45 degrees to the right, then to the left, then back.",
                           released(180)),
    "orbit": MoveKind("Circles the target and keeps looking at it.", animate_as(yaw="yaw", pitch="pitch"), (
        degrees("yaw", 60.0, "Angle to the right. Negative values go left.", limit=360.0, rest=0.0, first=30.0),
        degrees("pitch", 0.0, "Angle upward. Negative values go down. May pass the poles."))),
    "arc": MoveKind("Swings gently around the target and back to the start.", animate_as(yaw="yaw", pitch="pitch"), (
        degrees("yaw", 45.0, "Angle to the right before it swings back. Negative values go left.", rest=0.0),
        degrees("pitch", 0.0, "Angle upward before it swings back. Negative values go down.")), "there-and-back"),
    "dolly": MoveKind("Moves forward or backward.", animate_as(dolly="distance"), (
        share("distance", 0.4, "Distance forward. 1 reaches the target. Negative values go backward."),)),
    "truck": MoveKind("Moves sideways without turning.", animate_as(truck="distance"), (
        share("distance", 0.3, "Distance to the right. Negative values go left."),)),
    "pedestal": MoveKind("Moves up or down without turning.", animate_as(pedestal="distance"), (
        share("distance", 0.3, "Distance upward. Negative values go down."),)),
    "pan": MoveKind("Turns left or right in place.", animate_as(pan="angle"), (
        degrees("angle", 20.0, "Angle to the right. Negative values turn left."),)),
    "tilt": MoveKind("Turns up or down in place.", animate_as(tilt="angle"), (
        degrees("angle", 15.0, "Angle upward. Negative values turn down."),)),
    "roll": MoveKind("Rolls to one side in place.", animate_as(roll="angle"), (
        degrees("angle", 15.0, "Angle to the right of the camera. Negative values roll left.", limit=360.0),)),
    "spiral": MoveKind("Spirals outward from the start and keeps looking at the target.", animate_spiral, (
        degrees("angle", 20.0, "Radius of the last circle, as an angle seen from the target.", limit=90.0), TURNS,
        share("distance", 0.0, "Distance forward on the way. Negative values go backward."))),
    "figure-eight": MoveKind("Follows a horizontal figure eight around the start and keeps looking at the target.",
                             animate_figure_eight, (
        degrees("yaw", 20.0, "Half the width of the eight. Negative values start to the left.", limit=90.0, start=None),
        degrees("pitch", 8.0, "Half the height of the eight. Negative values start downward.", limit=90.0, start=None),
        TURNS)),
    "zoom": MoveKind("Changes the focal length.", animate_as(zoom="factor"), (
        Parameter("factor", 1.5, 0.1, 10.0, "factor", "Factor of the focal length. Values above 1 zoom in.",
                  start=1.0),)),
    "dolly-zoom": MoveKind("Moves forward or backward and zooms the other way, so that the target keeps its size.",
                           animate_dolly_zoom, (
        share("distance", 0.4, "Distance forward. Negative values go backward.", high=0.9),)),
}


def make_move(name: str, values: dict[str, float | tuple[float, float]] | None = None, ease: str | None = None) -> Move:
    """One checked move. values: the end, or (start, end), of parameters in their units; the rest take their defaults.

    Raises ValueError, naming the choices, for an unknown move, parameter or ease and for a value out of range.
    """
    if name not in MOVES:
        raise ValueError(f"move: '{name}' is not a move; use one of {', '.join(MOVES)}")
    kind, values = MOVES[name], values or {}
    known = [parameter.name for parameter in kind.parameters]
    for key in values:
        if key not in known:
            raise ValueError(f"move {name}: '{key}' is not a setting; use {', '.join([*known, 'ease'])}")
    ramps = {}
    for parameter in kind.parameters:
        default = parameter.default if parameter.rest is None or not values else parameter.rest
        ramps[parameter.name] = make_ramp(name, parameter, values.get(parameter.name, default))
    ease = ease or kind.ease
    if ease not in EASES:
        raise ValueError(f"move {name}: '{ease}' is not an ease; use one of {', '.join(EASES)}")
    return Move(name, ramps, ease)


def make_ramp(move: str, parameter: Parameter, value: float | tuple[float, float]) -> tuple[float, float]:
    """(start, end) of a parameter, or ValueError where either is out of range or it cannot ramp."""
    if isinstance(value, tuple) and parameter.start is None:
        raise ValueError(f"move {move}: {parameter.name} cannot change along the path; give one number")
    start, end = value if isinstance(value, tuple) else (value if parameter.start is None else parameter.start, value)
    for bound in (start, end):
        if not parameter.low <= bound <= parameter.high:
            raise ValueError(f"move {move}: {parameter.name}={bound:g} is out of range; "
                             f"use {parameter.low:g}..{parameter.high:g} ({parameter.unit})")
    return float(start), float(end)


def parse_moves(text: str) -> tuple[Move, ...]:
    """Moves joined by +, all at once: "orbit:yaw=60+dolly:distance=-0.5" orbits while it backs away."""
    return tuple(parse_move(part) for part in re.split(r"\+(?=\s*[a-z])", text))


def parse_move(text: str) -> Move:
    """One move as text: "orbit", "orbit:yaw=60,pitch=10", "orbit:yaw=-60..60,ease=ease-in-out"."""
    name, _, settings = text.strip().partition(":")
    values, ease = {}, None
    for setting in filter(None, settings.split(",")):
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals:
            raise ValueError(f"move {name}: '{setting.strip()}' is not a setting; write name=value, e.g. orbit:yaw=60")
        if key == "ease":
            ease = value
        else:
            values[key] = parse_value(name, key, value)
    return make_move(name, values, ease)


def parse_value(move: str, key: str, text: str) -> float | tuple[float, float]:
    """A number, or the two of a ramp "start..end"."""
    try:
        numbers = tuple(float(number) for number in text.split(".."))
    except ValueError:
        numbers = ()
    if len(numbers) == 1:
        return numbers[0]
    if len(numbers) == 2:
        return numbers
    raise ValueError(f"move {move}: {key}='{text}' is not a number; write e.g. {key}=30 or {key}=-30..30")
