"""Camera paths that we make: read moves.py first, then keyframes.py, which says them as a list of views.

moves.py holds the table of moves, the released presets among them, rig.py the rig they animate; keyframes.py runs
splines through views given as JSON (entries.py reads it, retiming.py bends the clip's own time); follow.py follows the
source camera and a subject; editing.py joins, blends and retimes finished paths; viewer.py takes a view of ComfyUI's
3D viewers and gives one back. All of them make a CameraPath (camera.py); files/paths.py reads and writes them.
"""

from typing import TYPE_CHECKING

from ..lazy import import_later

if TYPE_CHECKING:
    from .follow import Subject, make_subject, source_path, subject_target
    from .keyframes import keyframe_path, parse_keyframes, text_path
    from .moves import EASES, MOVES, RELEASED_FRAMES, Move, MoveKind, Parameter, make_move, parse_move, parse_moves
    from .rig import RADIUS_MARGIN, automatic_radius, move_path, place_rig, released_path, zoom_intrinsics
else:
    __getattr__ = import_later(
        __name__, follow="Subject make_subject source_path subject_target",
        keyframes="keyframe_path parse_keyframes text_path",
        moves="EASES MOVES RELEASED_FRAMES Move MoveKind Parameter make_move parse_move parse_moves",
        rig="RADIUS_MARGIN automatic_radius move_path place_rig released_path zoom_intrinsics")

__all__ = ["EASES", "MOVES", "RADIUS_MARGIN", "RELEASED_FRAMES", "Move", "MoveKind", "Parameter", "Subject",
           "automatic_radius", "keyframe_path", "make_move", "make_subject",
           "move_path", "parse_keyframes", "parse_move", "parse_moves", "place_rig", "released_path", "source_path",
           "subject_target", "text_path", "zoom_intrinsics"]
