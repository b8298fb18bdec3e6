"""ComfyUI's folders: files of input and output, and nowhere else, chosen, checked and named; where models lie."""

from __future__ import annotations

import math
import os
from pathlib import Path

import folder_paths

from ..ex4d_ops.estimators import registry
from ..ex4d_ops.files.path_settings import MODEL_FILES

TRACKER_FOLDER = "ex4d_trackers"
MODEL_FOLDERS = ("ex4d", *registry.FOLDERS, TRACKER_FOLDER)  # below ComfyUI's models folder


def register_model_folders() -> None:
    """Tell ComfyUI of the folders for our models, so that extra_model_paths.yaml can name more of each."""
    for name in MODEL_FOLDERS:
        folder_paths.add_model_folder_path(name, str(Path(folder_paths.models_dir) / name))


def model_folders(name: str) -> list[Path]:
    """Where models of this kind may lie, the first where downloads go."""
    return [Path(folder) for folder in folder_paths.get_folder_paths(name)]


def list_files(suffixes: set[str], folder_suffixes: set[str]) -> list[str]:
    """Names of the files with these suffixes in the input and output folders, and of the folders that hold some.

    suffixes: of files; folder_suffixes: of files that make the folder they lie in a choice, or such files' names.
    """
    names = []
    for root, mark in ((folder_paths.get_input_directory(), ""), (folder_paths.get_output_directory(), " [output]")):
        for folder, _, files in os.walk(root):
            inside = os.path.relpath(folder, root).replace(os.sep, "/")
            here = "" if inside == "." else f"{inside}/"
            endings = [os.path.splitext(file)[1].lower() for file in files]  # no Path: output folders grow large
            names += [here + file + mark for file, ending in zip(files, endings) if ending in suffixes]
            if here and folder_suffixes & {*files, *endings}:
                names.append(inside + mark)
    return sorted(names)


def find_file(name: str, input: str = "file") -> Path:
    """Where the file or folder lies that is named at an input. Raises ValueError where it is not in the two folders."""
    found = check_file(name)
    if found is not True:
        raise ValueError(f"{input}: {found}")
    path = Path(folder_paths.get_annotated_filepath(name))
    check_links(path, input)
    return path


def check_links(path: Path, input: str) -> None:
    """Raise ValueError where a file of a folder, or what stands beside a file, links out of ComfyUI's folders."""
    roots = (folder_paths.get_input_directory(), folder_paths.get_output_directory())
    entries = [path.with_suffix(".json")]  # in which depth says what its numbers mean
    entries += [path.with_name(name) for name in MODEL_FILES if path.name in MODEL_FILES]  # a model is read by any file
    for inside, folders, files in os.walk(path):  # which follows no links to folders
        entries += [Path(inside, name) for name in (*folders, *files)]
    for entry in entries:
        if entry.is_symlink() and not any(folder_paths.is_within_directory(root, str(entry)) for root in roots):
            name = entry.relative_to(path.parent).as_posix()
            raise ValueError(f"{input}: '{name}' is a link that leads out of ComfyUI's input and output folders; copy "
                             "the file there")


def check_file(name: str | None) -> bool | str:
    """True, or what is wrong with a chosen name, for validate_inputs."""
    if name is None or name and folder_paths.exists_annotated_filepath(name):  # None: linked, known when it runs
        return True
    return (f"there is no '{name}' in ComfyUI's input folder; put it there, or write 'NAME [output]' for one in the "
            "output folder")


def fingerprint(name: str | None, input: str = "file") -> str | float:
    """What changes when the file, or one in the folder, does; of a linked name, which is not known yet, anything."""
    if name is None:
        return math.nan
    path = find_file(name, input)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return str([(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files])


def new_file(prefix: str, suffix: str) -> tuple[Path, dict[str, str]]:
    """A new name in the output folder, and how the front end is told of it. Raises ValueError where it lies outside."""
    root = folder_paths.get_output_directory()
    if not folder_paths.is_within_directory(root, os.path.join(root, prefix)):
        raise ValueError(f"filename_prefix: '{prefix}' leads out of ComfyUI's output folder; use a folder inside it, "
                         "e.g. ex4d/take")
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, root)
    file = f"{name}_{counter:05}_{suffix}"
    return Path(folder) / file, {"filename": file, "subfolder": subfolder, "type": "output"}
