"""Guide Video makes what the library makes, and hands on what a graph needs beside it."""

import pytest
import torch

from ex4d_ops.generators import STYLES
from ex4d_ops.guide import accompany, guide_video
from ex4d_ops.prior import Prior, RenderRules, anchor_pictures, render_prior


@pytest.fixture(scope="module")
def prior() -> Prior:
    seen = torch.rand(60, 64, 96, generator=torch.Generator().manual_seed(0)) < 0.7
    seen[0] = True
    return Prior(torch.rand(60, 64, 96, 3) * seen[..., None], seen)


def run(nodes, prior: Prior, **inputs) -> tuple:
    return nodes.run("EX4DGuideVideo", color=prior.color, visible=prior.visible.float(), **inputs)


SMALL = {"width": 96, "height": 64}


@pytest.mark.parametrize("style", [style for style, look in STYLES.items() if not look.sizes])
def test_every_guide_is_the_librarys(nodes, prior, same, style):
    guide, paint, _, audio, *numbers = run(nodes, prior, style=style, fps=24.0, **SMALL)
    wanted = guide_video(prior, style, 24.0, size=(64, 96))
    assert same(guide, wanted.color) and same(paint, wanted.paint.float()) and audio is None
    assert numbers == [wanted.fps, 96, 64, len(wanted)]


def test_the_source_and_its_sound_go_along(nodes, prior, same):
    rate = 8000
    audio = {"waveform": torch.arange(2.5 * rate)[None, None], "sample_rate": rate}
    _, _, source, sound, fps, _, _, length = run(nodes, prior, style="crossview-h3", fps=30.0, source=prior.color,
                                                 audio=audio, **SMALL)
    assert same(source, accompany(guide_video(prior, "crossview-h3", 30.0, size=(64, 96)), prior.color))
    assert sound["waveform"].shape[-1] == round(length / fps * rate) and sound["sample_rate"] == rate
    assert torch.equal(sound["waveform"], audio["waveform"][..., :sound["waveform"].shape[-1]])


@pytest.mark.parametrize("inputs, said", [
    ({"style": "meridian"}, "^length: the clip gives 60 frames at 24 .*, but meridian takes 73, 90"),
    ({"style": "vace", "length": 50, "frame_rate": "as given"}, "^length: 50 is not a length of vace.* use 49 or 53$"),
    ({"style": "vace", "length": 61, "frame_rate": "as given"}, "^length: 61 frames are asked for.* use 57 or fewer"),
    ({"style": "vace", "width": 100, "height": 64}, "^width, height: 100x64, but vace takes multiples of 16; use 96x"),
    ({"style": "vace", "width": 96}, "^width, height: 96x0 is not a size; set both, or both to 0"),
])
def test_every_guide_that_cannot_be_is_refused_in_a_sentence(nodes, prior, inputs, said):
    with pytest.raises(ValueError, match=said):
        run(nodes, prior, fps=24.0, **inputs)


def test_a_mask_of_another_clip_is_refused(nodes, prior):
    with pytest.raises(ValueError, match="^visible: 9 frames of 96x64, but color has 60 of 96x64; connect both"):
        nodes.run("EX4DGuideVideo", color=prior.color, visible=prior.visible[:9].float(), style="vace")


def test_a_source_that_is_not_connected_stops_only_what_asks_for_it(nodes, prior):
    guide, _, source, *_ = run(nodes, prior, style="black", fps=24.0, **SMALL)
    assert len(guide) == 57 and "connect" in source.message


def test_a_first_frame_with_holes_is_doubted(nodes, prior, caplog):
    run(nodes, Prior(prior.color[1:], prior.visible[1:]), style="uni3c", fps=24.0, **SMALL)
    assert "% visible, but uni3c takes the source itself there" in caplog.text


@pytest.mark.parametrize("surface", ["crossview-points", "meridian-points"])
def test_every_surface_of_points_is_the_librarys(nodes, take, same, surface):
    color, visible, _ = nodes.run("RenderDWMesh", mesh=take.mesh, cameras=take.path, surface=surface,
                                  erosion={"erosion": "none"}, anchor_first_frame=False)
    wanted = render_prior(take.mesh, take.path, RenderRules(anchor_first=False, erosion=0, surface=surface))
    assert same(color, wanted.color) and same(visible, wanted.visible.float())


# ---- pictures in place of frames ----------------------------------------------------------------


@pytest.mark.parametrize("words, frames", [("last", [59]), ("0", [0]), ("0, 4, last", [0, 4, 59]), ("8 0", [8, 0])])
def test_anchored_frames_are_the_librarys(nodes, prior, same, words, frames):
    pictures = torch.rand(len(frames), 30, 40, 3)
    color, visible = nodes.run("EX4DAnchorFrames", color=prior.color, visible=prior.visible.float(), pictures=pictures,
                               frames=words, fit="pad")
    wanted = anchor_pictures(prior, pictures, frames, "pad")
    assert same(color, wanted.color) and same(visible, wanted.visible.float())


@pytest.mark.parametrize("words, sentence", [
    ("60", "frames: 60 is not a frame of this video; use 0 to 59, or last"), ("end", "frames: 'end' is not a list of"),
    ("", "frames: 0 are named for 1 pictures"), ("4, 5", "frames: 2 are named for 1 pictures"),
])
def test_frames_that_are_not_there_get_one_sentence(nodes, prior, words, sentence):
    with pytest.raises(ValueError, match=sentence):
        nodes.run("EX4DAnchorFrames", color=prior.color, visible=prior.visible.float(), pictures=prior.color[:1],
                  frames=words)
