"""Draws the pictures of the help pages from the library's sample scenes: python -m docs.pictures [NAME ...]

NAME: of a node, or the beginning of one, or README; without it all are drawn, in a few minutes.
"""

import sys
from functools import partial

from . import background, camera, depth, estimate, evaluate, generate, guide, masks, mesh, moving, render, sound, stereo
from .sheet import save

PICTURES = {
    "ApplyEX4DLoRA.png": generate.draw_steps,
    "BuildDWMesh.jpg": mesh.draw_mesh,
    "BuildDWMesh-hidden_reach.jpg": mesh.draw_reaches,
    "BuildDWMesh-min_angle.jpg": mesh.draw_min_angles,
    "CameraTrajectory-presets.jpg": partial(camera.draw_moves, camera.PRESETS),
    "CameraTrajectory-circles.jpg": partial(camera.draw_moves, camera.CIRCLES),
    "CameraTrajectory-straights.jpg": partial(camera.draw_moves, camera.STRAIGHTS),
    "CameraTrajectory-lens.jpg": partial(camera.draw_moves, camera.LENSES),
    "CameraTrajectory-radius.jpg": camera.draw_radii,
    "CameraTrajectory-ease.png": camera.draw_eases,
    "EX4DAnchorFrames.jpg": guide.draw_anchors,
    "EX4DCameraFromLoad3D.jpg": camera.draw_arrival,
    "EX4DCameraKeyframes.png": camera.draw_keyframes,
    "EX4DCameraToLoad3D.jpg": camera.draw_departure,
    "EX4DClipFromVideo.jpg": depth.draw_sizes,
    "EX4DComposeCameras.png": camera.draw_operations,
    "EX4DCoverageMap.jpg": background.draw_coverage,
    "EX4DDepthFromGeometry.jpg": depth.draw_source_cameras,
    "EX4DDepthFromImages.png": depth.draw_conventions,
    "EX4DDepthFromImages-lens.jpg": depth.draw_lenses,
    "EX4DDepthToImages.jpg": depth.draw_colors,
    "EX4DGuideVideo.jpg": guide.draw_styles,
    "EX4DLoadCameras.jpg": camera.draw_worlds,
    "EX4DLoadDepth.jpg": depth.draw_filling,
    "EX4DMeshToMesh.jpg": mesh.draw_core_meshes,
    "EX4DEvaluate.png": evaluate.draw_measures,
    "EX4DMotionMask.jpg": background.draw_motion,
    "EX4DPriorEncode.jpg": generate.draw_prior,
    "EX4DRandomMask.jpg": masks.draw_random,
    "EX4DRenderingMask.jpg": masks.draw_rendering,
    "EX4DSampleScene.jpg": depth.draw_scenes,
    "EX4DSaveCameras.png": camera.draw_formats,
    "EX4DSaveDepth.png": depth.draw_precision,
    "EX4DSmoothCrop.jpg": masks.draw_crop,
    "EX4DSoundForCameras.png": sound.draw_sound,
    "EX4DSourceCameras.png": camera.draw_smoothing,
    "EX4DStereoCameras.jpg": stereo.draw_eyes,
    "EX4DStereoVideo.jpg": stereo.draw_layouts,
    "EX4DTrackingMask.jpg": masks.draw_tracking,
    "EstimateVideoDepth.jpg": estimate.draw_scales,
    "EstimateVideoDepth-steadiness.png": estimate.draw_steadiness,
    "RenderDWMesh.jpg": render.draw_prior,
    "RenderDWMesh-background.jpg": background.draw_background,
    "RenderDWMesh-still.jpg": render.draw_still_target,
    "RenderDWMesh-erosion.jpg": render.draw_erosion,
    "RenderDWMesh-surface.jpg": guide.draw_surfaces,
    "RenderDWMesh-texture.jpg": render.draw_textures,
}

if __name__ == "__main__":
    if "README" in sys.argv[1:] or len(sys.argv) == 1:
        for file in (moving.save_moving_picture(), *moving.save_cards()):
            print(f"{file.name}: {file.stat().st_size / 1e3:.0f} kB")
    for name, draw in PICTURES.items():
        if name.startswith(tuple(sys.argv[1:] or [""])):
            file = save(name, draw())
            print(f"{file.name}: {file.stat().st_size / 1e3:.0f} kB")
