"""The formats of camera paths, a family a file: one reader, one writer where others read it, one change of convention.

Readers take a path and a Request, what the caller says beside the file, and give a CameraPath in the file's own world;
writers give the content of each file. Values are checked by paths.read_path, which also names the file in every error.
Begin with request.py, what all of them share, and ours.py, the plainest; then npz.py, pose_rows.py, colmap.py, chan.py,
unreal.py, orbits.py, transforms.py, neoverse.py and gltf.py in any order; recognition.py tells them apart.
"""
