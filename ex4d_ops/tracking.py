"""Points followed through a clip: pyramidal Lucas-Kanade, CoTracker3, TAPNext.

    lk         OpenCV, a forward-backward check; needs no weights, follows the best corner near each point, and loses
               it for good when it is hidden
    cotracker  CoTracker3 offline or online, as the weights are; its licence, CC BY-NC 4.0, forbids commercial use
    tapnext    TAPNext, Apache-2.0

The models' code comes from the user's installed package, or from a folder of it; weights are local files. Nothing is
downloaded, and no weights file can run code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from .camera import check_tensor
from .clip import Progress, no_progress, resize_frame, size_of
from .files.damage import reading
from .files.tensors import read_tensors
from .opencv import need_opencv
from .parallel import one_by_one
from .rules import TrackerName

LK_WINDOW = 15  # pixels
LK_LEVELS = 4  # halvings; follows motion of some 100 px a frame
LK_CORNER = 2e-3  # least eigenvalue by which OpenCV tells corners from flat places and edges
LK_RETURN = 0.2  # pixels by which a point tracked there and back may miss its start
LK_DRIFT = 1.0  # pixels from frame to frame; what lies farther off is no drift
LK_LIKENESS = 0.9  # correlation with how it looked in frame 0
LK_REACH = 1 / 16  # of the picture's shorter side; how far a point is moved to stand on a corner
OFFLINE_WINDOW = 60  # frames; CoTracker3 offline was trained on so many, and its weights show it
TAPNEXT_SIZE = (256, 256)  # pixels; the size its weights know, and in which it counts
TAPNEXT_FINE = "512"  # in the name of weights for pictures twice as large, which nothing else tells: TAPNext++


@dataclass(frozen=True, eq=False)
class Tracks:
    """Where points of frame 0 are in every frame.

    points: [T, N, 2] float32, image coordinates (x, y), a pixel's centre at + 0.5, and where a point is not seen a
    guess; visible: [T, N] bool, False where it is hidden, out of the picture or lost.
    """

    points: Tensor
    visible: Tensor

    def __post_init__(self) -> None:
        frames, count = self.visible.shape
        check_tensor("points", self.points, (frames, count, 2))
        check_tensor("visible", self.visible, (frames, count), torch.bool, like=self.points)

    def __len__(self) -> int:
        return self.visible.shape[0]


# frames [T, H, W, 3] in [0, 1] and points [N, 2] of frame 0 -> Tracks; progress may raise to cancel
Tracker = Callable[[Tensor, Tensor, "Progress | None"], Tracks]


def load_tracker(name: str, weights: Path | None = None, code: Path | None = None,
                 device: torch.device = torch.device("cpu")) -> Tracker:
    """The tracker "lk", "cotracker" or "tapnext".

    weights: file of the model; code: folder that holds its package, None for the installed one. Raises ValueError where
    either is missing or the weights are another model's.
    """
    if name not in TRACKERS:
        raise ValueError(f"tracker: {name!r} is not a tracker; use {', '.join(TRACKERS)}")
    load = TRACKERS[name]
    if load is None:
        return track_corners
    if weights is None:
        raise ValueError(f"tracker: {name} needs a weights file; give one, or use lk, which does not need weights")
    return load(weights, code, device)


def inside(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Which points [..., 2] lie in a picture of size (H, W), [...] bool."""
    return (points >= 0).all(-1) & (points[..., 0] < size[1]) & (points[..., 1] < size[0])


# ---- Lucas-Kanade -------------------------------------------------------------------------------


def track_corners(frames: Tensor, points: Tensor, progress: Progress | None = None) -> Tracks:
    """Follow the best corner near each point [N, 2] of frame 0, for LK can't tell how what lies between them moves."""
    return track_lk(frames, nearest_corners(frames[0], points), progress)


def nearest_corners(frame: Tensor, points: Tensor) -> Tensor:
    """The pixel [N, 2] around each point of a frame [H, W, 3] whose surroundings differ most in every direction."""
    cv2 = need_opencv()
    strength = torch.from_numpy(cv2.cornerMinEigenVal(to_gray(frame), LK_WINDOW))  # [H, W]
    reach = round(min(strength.shape) * LK_REACH)
    corners = []
    for x, y in points.floor().long().tolist():
        left, top = max(x - reach, 0), max(y - reach, 0)
        near = strength[top:y + reach + 1, left:x + reach + 1]
        row, column = divmod(int(near.argmax()), near.shape[1])
        corners.append((left + column, top + row))
    return points.new_tensor(corners) + 0.5


def track_lk(frames: Tensor, points: Tensor, progress: Progress | None = None) -> Tracks:
    """Follow points [N, 2] of frame 0 from each frame to the next, and correct drift by comparing with frame 0.

    One that does not lead back where it was, stands on no corner, or no longer looks as in frame 0 is lost.
    """
    before = first = to_gray(frames[0])
    start = points.float().cpu().numpy().reshape(-1, 1, 2) - 0.5  # OpenCV counts from pixel centres
    here, looks = start.copy(), patches(first, start)
    places, seen = [torch.from_numpy(here[:, 0].copy())], [torch.ones(len(here), dtype=torch.bool)]
    for frame in one_by_one(frames[1:], len(frames), progress):
        after = to_gray(frame)
        there, found = step_lk(before, after, here)
        back, found_back = step_lk(after, before, there)
        returned = torch.from_numpy(back - here).norm(dim=-1)[:, 0] < LK_RETURN
        settled, found_start = step_lk(first, after, start, guess=there)
        near = found_start & (torch.from_numpy(settled - there).norm(dim=-1)[:, 0] < LK_DRIFT)
        there[near.numpy()] = settled[near.numpy()]
        alike = (looks * patches(after, there)).sum(1) > LK_LIKENESS
        kept = seen[-1] & found & found_back & returned & alike
        here[kept.numpy()] = there[kept.numpy()]
        places.append(torch.from_numpy(here[:, 0].copy()))
        seen.append(kept & inside(places[-1] + 0.5, size_of(frames)))
        before = after
    return Tracks((torch.stack(places) + 0.5).to(frames.device), torch.stack(seen).to(frames.device))


def to_gray(frame: Tensor):
    """A frame [H, W, 3] in [0, 1] as OpenCV's gray bytes [H, W]."""
    cv2 = need_opencv()
    return cv2.cvtColor((frame * 255).round().byte().cpu().numpy(), cv2.COLOR_RGB2GRAY)


def step_lk(before, after, here, guess=None) -> tuple:
    """Where points [N, 1, 2] of one gray picture are in another, near the guess if any, and which [N] were found."""
    cv2 = need_opencv()
    levels, flags = (LK_LEVELS, 0) if guess is None else (0, cv2.OPTFLOW_USE_INITIAL_FLOW)
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, here, (here if guess is None else guess).copy(), winSize=(LK_WINDOW, LK_WINDOW),
        maxLevel=levels, flags=flags, minEigThreshold=LK_CORNER,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 0.01))
    return there, torch.from_numpy(found)[:, 0].bool()


def patches(gray, here) -> Tensor:
    """The pictures around points [N, 1, 2], of mean 0 and length 1: [N, pixels]."""
    cv2 = need_opencv()
    around = [cv2.getRectSubPix(gray, (LK_WINDOW, LK_WINDOW), (float(x), float(y))) for x, y in here[:, 0]]
    values = torch.stack([torch.from_numpy(patch).reshape(-1).float() for patch in around])
    return torch.nn.functional.normalize(values - values.mean(1, keepdim=True), dim=1)


# ---- CoTracker3 ---------------------------------------------------------------------------------


def load_cotracker(weights: Path, code: Path | None, device: torch.device) -> Tracker:
    """CoTracker3, offline or online by what the weights were trained for."""
    state = read_tensors(weights)
    state = state.get("model", state)
    if "time_emb" not in state or not any(key.startswith("updateformer.") for key in state):
        raise ValueError(f"{weights}: is not a weights file of CoTracker3; use scaled_offline.pth or scaled_online.pth")
    window = state["time_emb"].shape[1]
    offline = window == OFFLINE_WINDOW
    with package("cotracker", code):
        predictors = import_module("cotracker.predictor")
        kind = predictors.CoTrackerPredictor if offline else predictors.CoTrackerOnlinePredictor
        predictor = kind(checkpoint=None, window_len=window)
    assign_weights(predictor.model, state, weights)
    predictor = predictor.to(device).eval()
    follow = follow_offline if offline else follow_online

    def track(frames: Tensor, points: Tensor, progress: Progress | None = None) -> Tracks:
        video = (frames * 255).permute(0, 3, 1, 2)[None].to(device)
        # It counts from pixel centres, and asks for the frame each point is on first.
        queries = torch.nn.functional.pad(points.float().to(device) - 0.5, (1, 0))[None]
        with reporting(predictor.model.updateformer, len(frames), progress):
            places, visible = follow(predictor, video, queries)
        places = places[0] + 0.5
        return Tracks(places.to(frames.device), (visible[0] & inside(places, size_of(frames))).to(frames.device))

    return track


def follow_offline(predictor, video: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
    return predictor(video, queries=queries)


def follow_online(predictor, video: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
    """Show the clip window after window; each answer holds all frames so far."""
    predictor(video, is_first_step=True, queries=queries, add_support_grid=True)
    frames, step = video.shape[1], predictor.step
    for start in range(0, max(frames - step, 1), step):
        chunk = video[:, start:start + 2 * step]
        places, visible = predictor(chunk, queries=queries, add_support_grid=True)
    return places, visible


@contextmanager
def reporting(refinement: torch.nn.Module, frames: int, progress: Progress | None) -> Iterator[None]:
    """Call progress, which may raise, after every refinement of the tracks; it counts towards the frames."""
    report, done = progress or no_progress, 0

    def count(*_) -> None:
        nonlocal done
        done += 1
        report(min(done, frames), frames)

    hook = refinement.register_forward_hook(count)
    try:
        yield
    finally:
        hook.remove()


# ---- TAPNext ------------------------------------------------------------------------------------


def load_tapnext(weights: Path, code: Path | None, device: torch.device) -> Tracker:
    """TAPNext, from its own npz, or TAPNext++, from its torch file."""
    with package("tapnet", code):
        model = import_module("tapnet.tapnext.tapnext_torch").TAPNext(image_size=TAPNEXT_SIZE)
        restore = import_module("tapnet.tapnext.tapnext_torch_utils").restore_model_from_jax_checkpoint
    if weights.suffix == ".npz":
        with reading(weights, "npz", "use bootstapnext_ckpt.npz"):
            try:
                restore(model, str(weights))
            except KeyError as error:
                raise ValueError(f"it is not a weights file of TAPNext, because it lacks {error}") from error
    else:
        state = read_tensors(weights)
        state = state.get("state_dict", state)  # wrapped or not, as TAPNext++ takes its own
        assign_weights(model, {name.removeprefix("tapnext."): value for name, value in state.items()}, weights)
    model = model.to(device).eval()
    shown = tapnext_picture(weights)

    @torch.no_grad()
    def track(frames: Tensor, points: Tensor, progress: Progress | None = None) -> Tracks:
        size = size_of(frames)
        shrink = points.new_tensor([TAPNEXT_SIZE[1] / size[1], TAPNEXT_SIZE[0] / size[0]]).to(device)
        queries = torch.nn.functional.pad((points.to(device) * shrink).flip(-1), (1, 0))[None]  # frame, y, x
        places, visible, state = [], [], None
        for frame in one_by_one(frames, len(frames), progress):
            picture = 2 * resize_frame(frame, shown)[None, None].to(device) - 1
            place, _, logit, state = model(picture, queries if state is None else None, state)
            places.append(place[0, 0].flip(-1) / shrink)
            visible.append(logit[0, 0, :, 0] > 0)
        places = torch.stack(places).float()
        visible = torch.stack(visible) & inside(places, size)
        return Tracks(places.to(frames.device), visible.to(frames.device))

    return track


def tapnext_picture(weights: Path) -> tuple[int, int]:
    """The size (H, W) of the pictures that weights were trained on, by their public names: tapnextpp_512.ckpt."""
    fine = TAPNEXT_FINE in re.split("[^0-9]+", weights.stem)
    height, width = TAPNEXT_SIZE
    return (2 * height, 2 * width) if fine else TAPNEXT_SIZE


TRACKERS: dict[TrackerName, Callable[[Path, Path | None, torch.device], Tracker] | None] = {
    "lk": None, "cotracker": load_cotracker, "tapnext": load_tapnext}


# ---- code and weights of others -----------------------------------------------------------------


@contextmanager
def package(name: str, code: Path | None):
    """Import a tracker's package inside this block, from the folder `code` where one is given.

    Leaves the search path and torch's random state as they were: these packages seed it. Raises ValueError where the
    package isn't there.
    """
    if code is not None and not (code / name).is_dir():
        raise ValueError(f"tracker: {code} does not contain the package {name}; give the folder with the clone of its "
                         "repository")
    path, folder = list(sys.path), [] if code is None else [str(code)]
    sys.path[:0] = folder
    try:
        with torch.random.fork_rng():
            yield
    except ModuleNotFoundError as error:
        raise ValueError(f"tracker: {name} cannot be imported ({error}); install it, or give the folder with the clone "
                         "of its repository") from error
    finally:
        sys.path[:] = path


def assign_weights(model: torch.nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load weights into a model, all of them or none."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: doesn't fit {type(model).__name__}: {str(error).splitlines()[1].strip()}") from error
