"""The pack costs ComfyUI's start next to nothing: what is heavy is imported by the first node that needs it."""

import json
import subprocess
import sys
from pathlib import Path

PACK = Path(__file__).parents[2]
HEAVY = {"warp", "cv2", "av", "trimesh", "matplotlib", "kornia", "OpenEXR", "nvdiffrast", "scipy", "transformers"}
START = """
import asyncio, importlib.util, json, sys, time
comfyui, pack = sys.argv[1:]
sys.path.insert(0, comfyui)
import comfy.cli_args
comfy.cli_args.args.cpu = True
import comfy.model_management, comfy.sd, comfy.utils, folder_paths  # which ComfyUI has by then
from comfy_api.latest import ComfyExtension

before, begin = set(sys.modules), time.perf_counter()
spec = importlib.util.spec_from_file_location("comfyui_ex4d", pack + "/__init__.py")
module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
extension = asyncio.run(module.comfy_entrypoint())
for node in asyncio.run(extension.get_node_list()):
    node.GET_NODE_INFO_V1()
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "modules": sorted(set(sys.modules) - before)}))
"""


def test_the_pack_s_import_loads_nothing_heavy(comfyui_path, capsys):
    ran = subprocess.run([sys.executable, "-c", START, str(comfyui_path), str(PACK)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    start = json.loads(ran.stdout.splitlines()[-1])
    with capsys.disabled():
        print(f"\nThe pack adds {start['seconds']:.2f} s and {len(start['modules'])} modules to ComfyUI's start.")
    assert "comfyui_ex4d.nodes.camera" in start["modules"]
    assert not HEAVY & {name.split(".")[0] for name in start["modules"]}
