"""Install what the pack needs: run by ComfyUI-Manager and comfy-cli, and by hand with ComfyUI's Python.

OpenCV is added only where no build of it is there: packs ask for four, which overwrite each other's files.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

tool = ["pip"] if find_spec("pip") else ["uv", "pip"]  # an environment that uv made has no pip
missing = [] if find_spec("cv2") else ["opencv-python-headless"]
requirements = Path(__file__).with_name("requirements.txt")
subprocess.check_call([sys.executable, "-m", *tool, "install", "-r", str(requirements), *missing])
