"""Public weights: what they are, where they belong, and fetching them when asked. CATALOGUE: the estimators' own."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import list2cmdline

from ..files.damage import first_line
from .packages import need

UNET_FOLDER, SVD_FOLDER = "DepthCrafter", "stable-video-diffusion-img2vid-xt"  # below DepthCrafter's folder
HUB = "https://huggingface.co"
BLOCK = 1 << 20  # bytes read at once
LAUNCHER = Path(__file__).parents[2] / "ex4d"  # beside the library in a pack


@dataclass(frozen=True)
class Repository:
    """Files of one public repository, each with its megabytes, counted from its tensors. folder: below the kind's."""

    name: str
    licence: str
    files: dict[str, float]
    folder: str = ""

    @property
    def page(self) -> str:
        return f"{HUB}/{self.name}"


@dataclass(frozen=True)
class Address:
    """A file that lies elsewhere, with its megabytes. checksum: how its SHA-256 begins, "" where nobody says."""

    page: str
    licence: str
    megabytes: float
    checksum: str = ""
    folder: str = ""

    @property
    def files(self) -> dict[str, float]:
        return {self.page.rsplit("/", 1)[-1]: self.megabytes}


@dataclass(frozen=True)
class Weights:
    """What one model needs. folder: below ComfyUI's models folder."""

    folder: str
    repositories: tuple[Repository | Address, ...]

    @property
    def place(self) -> str:
        """What to load, below the model's folder: a file, a folder, or "" for the folder itself."""
        first, *others = self.repositories
        if others:
            return ""
        return first.folder or next(iter(first.files))

    @property
    def megabytes(self) -> float:
        return sum(sum(repository.files.values()) for repository in self.repositories)

    @property
    def licence(self) -> str:
        return "; ".join(dict.fromkeys(repository.licence for repository in self.repositories))


def video_depth_anything(size: str, file: str, megabytes: float, metric: bool) -> Weights:
    kind, licence = "Metric-" if metric else "", "Apache-2.0" if size == "Small" else "CC-BY-NC-4.0, non-commercial"
    repository = Repository(f"depth-anything/{kind}Video-Depth-Anything-{size}", licence,
                            {f"{'metric_' if metric else ''}video_depth_anything_{file}.pth": megabytes})
    return Weights("video_depth_anything", (repository,))


SIZES = (("Small", "vits", 116.3), ("Base", "vitb", 458.1), ("Large", "vitl", 1538.2))
CATALOGUE: dict[str, Weights] = {
    **{f"video-depth-anything-{size.lower()}": video_depth_anything(size, file, megabytes, False)
       for size, file, megabytes in SIZES},
    **{f"metric-video-depth-anything-{size.lower()}": video_depth_anything(size, file, megabytes, True)
       for size, file, megabytes in SIZES},
    "depthcrafter": Weights("depthcrafter", (
        Repository("tencent/DepthCrafter", "Tencent, academic and research use only", {
            "config.json": 0.0, "diffusion_pytorch_model.safetensors": 3049.2}, UNET_FOLDER),
        Repository("stabilityai/stable-video-diffusion-img2vid-xt", "Stability AI, to be accepted on its page", {
            "vae/config.json": 0.0, "vae/diffusion_pytorch_model.fp16.safetensors": 195.5,
            "image_encoder/config.json": 0.0, "image_encoder/model.fp16.safetensors": 1264.2,
            "scheduler/scheduler_config.json": 0.0}, SVD_FOLDER))),
    "depth-anything-v2-small": Weights("depth", (
        Repository("depth-anything/Depth-Anything-V2-Small-hf", "Apache-2.0", {
            "config.json": 0.0, "preprocessor_config.json": 0.0, "model.safetensors": 99.1},
            "Depth-Anything-V2-Small-hf"),)),
}


def find_weights(name: str, folders: Sequence[Path], catalogue: Mapping[str, Weights] = CATALOGUE) -> Path:
    """The one of the folders for this kind of model that holds all of a catalogued model's files.

    Raises ValueError naming the first missing file, its size, licence, address and folder, and the command for it.
    """
    weights = catalogue[name]
    for folder in folders:
        if not missing_files(weights, folder):
            return folder
    source, file, path = missing_files(weights, folders[0])[0]
    size = f"{source.files[file]:.0f} MB, " if source.files[file] else ""
    raise ValueError(f"{name}: {file} is missing ({size}license: {source.licence}); download it from "
                     f"{source.page} to {path}, or run: {name_command()} download {name} --models "
                     f"{list2cmdline([str(folders[0].parent)])}")


def name_command() -> str:
    """How this very copy of `ex4d` is called: by pip's name for it, or by the file of a pack that pip never saw."""
    return list2cmdline([sys.executable, str(LAUNCHER)]) if LAUNCHER.is_file() else "ex4d"


def missing_files(weights: Weights, folder: Path) -> list[tuple[Repository | Address, str, Path]]:
    """The files of a model that a folder for its kind lacks, each with where it belongs."""
    places = [(source, file, folder / source.folder / file)
              for source in weights.repositories for file in source.files]
    return [place for place in places if not place[2].is_file()]


def download_weights(name: str, models: Path, endpoint: str | None = None,
                     catalogue: Mapping[str, Weights] = CATALOGUE) -> list[Path]:
    """Fetch what a catalogued model lacks into a models folder. endpoint: of the hub.

    Returns the new files. Raises ValueError in one sentence.
    """
    if name not in catalogue:
        raise ValueError(f"{name!r} is not the name of a model to download; use one of {', '.join(catalogue)}")
    fetched = []
    for source, file, path in missing_files(catalogue[name], models / catalogue[name].folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Address):
            fetch_address(source, path)
        else:
            fetch_from_hub(source, file, path, endpoint)
        fetched.append(path)
    return fetched


def fetch_address(address: Address, path: Path) -> None:
    """Fetch a file that no hub holds, held to its checksum where there is one."""
    from torch.hub import download_url_to_file

    try:
        download_url_to_file(address.page, str(path), address.checksum or None)
    except Exception as error:  # urllib's and the socket's; of a checksum torch's own
        raise ValueError(f"{address.page}: cannot be downloaded ({first_line(error)}); run the command again, or save "
                         f"it as {path}") from None


def fetch_from_hub(repository: Repository, file: str, path: Path, endpoint: str | None) -> None:
    """Fetch a file of the hub, taking up where an earlier try stopped.

    It is held to the checksum that the hub publishes, and dropped where it differs.
    """
    hub = need("huggingface_hub", "downloading")
    from huggingface_hub import errors

    api = hub.HfApi(endpoint=endpoint)
    try:
        info = api.model_info(repository.name, files_metadata=True)
        entry = next((entry for entry in info.siblings if entry.rfilename == file), None)
        if entry is None:
            raise ValueError(f"{repository.page}: does not contain {file} any more; look for it there and "
                             "download it by hand")
        fetch_file(hub.hf_hub_url(repository.name, file, revision=info.sha, endpoint=endpoint), path, entry)
    except errors.GatedRepoError:
        raise ValueError(f"{repository.page}: asks you to accept its license first; do so on that page, then log "
                         "in with: hf auth login") from None
    except ValueError:
        raise
    except Exception as error:  # every version of the hub's client has an HTTP library, and errors, of its own
        raise ValueError(f"{repository.page}: {file} cannot be downloaded ({first_line(error)}); run the command "
                         "again to continue where it stopped") from None


def fetch_file(url: str, path: Path, entry) -> None:
    """Fetch one file of the hub to path, beginning after what an earlier try left beside it.

    The hub's own download to a folder starts over when it is called again.
    """
    from huggingface_hub import file_download, utils

    part = path.with_name(f"{path.name}.part")
    with open(part, "ab") as file:
        begin = file.tell()
        if begin < entry.size:
            file_download.http_get(url, file, resume_size=begin, headers=utils.build_hf_headers(),
                                   expected_size=entry.size)
    check_file(part, entry)
    part.replace(path)


def check_file(path: Path, entry) -> None:
    """Raise ValueError, and drop the file, unless it is what the hub says of it: SHA-256, or git's SHA-1 if small."""
    if entry.lfs is not None:
        digest, expected = hashlib.sha256(), entry.lfs.sha256
    else:
        digest, expected = hashlib.sha1(f"blob {path.stat().st_size}\0".encode()), entry.blob_id
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != expected:
        path.unlink()
        raise ValueError(f"{path}: arrived damaged (its checksum differs from the hub's) and was deleted; download it "
                         "again")
