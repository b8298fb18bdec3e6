"""While a graph runs: bars that count frames, a cancel button that works, nothing run twice."""

import pytest

from headless.server import Failed

LONG = 400  # frames of a run that is to be interrupted


def values(heard: list, node: str) -> list[tuple[int, int]]:
    """(value, max) of every progress message about a node."""
    return [(said["value"], said["max"]) for kind, said in heard if kind == "progress" and said["node"] == node]


def test_bars_count_frames_to_the_last(workflow, follow):
    clip = workflow.clip(frames=9, seed=11)
    mesh, _, prior = workflow.prior(clip, frames=9, engine="torch")
    workflow.add("PreviewImage", images=[prior, 0])
    heard = follow(workflow)
    assert heard[-1][0] == "execution_success"
    for node in (clip, mesh, prior):
        counted = values(heard, node)
        assert counted[0][0] >= 1 and counted[-1] == (9, 9)
        assert all(most == 9 for _, most in counted) and counted == sorted(counted)


@pytest.mark.parametrize("form", ["exr", "png", "video"])
def test_bars_count_the_pictures_of_files_too(server, new_workflow, follow, form):
    saving, loading = new_workflow(), new_workflow()
    saved = saving.add("EX4DSaveDepth", depth=[saving.clip(frames=9), 1], filename_prefix=f"bars/{form}", format=form)
    assert values(follow(saving), saved)[-1] == (9, 9)
    (said,) = server.run(saving)[saved]["files"]
    loaded = loading.add("EX4DLoadDepth", file=f"bars/{said['filename']} [output]")
    loading.add("EX4DSaveDepth", depth=[loaded, 0], filename_prefix="bars/again")
    assert values(follow(loading), loaded)[-1] == (9, 9)


def film_long(workflow) -> str:
    clip = workflow.clip(frames=LONG, width=160, height=160)
    workflow.add("PreviewImage", images=[clip, 0])
    return clip


def build_long(workflow) -> str:
    clip = workflow.clip(frames=1, width=256, height=256)
    gray = workflow.add("EX4DDepthToImages", depth=[clip, 1], colors="gray")
    repeated = workflow.add("RepeatImageBatch", image=[gray, 0], amount=LONG)
    depth = workflow.add("EX4DDepthFromImages", images=[repeated, 0])
    mesh = workflow.add("BuildDWMesh", images=[repeated, 0], depth=[depth, 0])
    workflow.add("MaskPreview", mask=[mesh, 1])
    return mesh


def render_long(workflow) -> str:
    clip = workflow.clip(frames=1, width=160, height=160)
    mesh = workflow.add("BuildDWMesh", images=[clip, 0], depth=[clip, 1])
    path = workflow.add("CameraTrajectory", move="orbit", frames=LONG, scene=[clip, 1])
    held = workflow.add("EX4DComposeCameras", cameras=[path, 0], operation="freeze")
    prior = workflow.add("RenderDWMesh", mesh=[mesh, 0], cameras=[held, 0], engine="torch")
    workflow.add("PreviewImage", images=[prior, 0])
    return prior


@pytest.mark.parametrize("run_long", [film_long, build_long, render_long])
def test_a_long_run_stops_when_told_and_the_server_lives_on(server, workflow, new_workflow, follow, run_long):
    node, asked = run_long(workflow), []

    def interrupt(kind: str, said: dict) -> None:
        if kind == "progress" and said["node"] == node and not asked:
            asked.append(said["value"])
            server.post("/interrupt", {})

    heard = follow(workflow, interrupt)
    kind, said = heard[-1]
    assert kind == "execution_interrupted" and said["node_id"] == node
    assert values(heard, node)[-1][0] < LONG  # it did not run to the end
    again = new_workflow()
    again.add("PreviewImage", images=[again.clip(frames=1), 0])
    assert server.run(again)


def test_who_waits_for_an_interrupted_prompt_is_told(server, workflow):
    clip = workflow.clip(frames=LONG, width=160, height=160, seed=13)
    workflow.add("PreviewImage", images=[clip, 0])
    prompt = server.queue(workflow)
    while not server.get("/queue")["queue_running"]:
        pass
    server.post("/interrupt", {})
    with pytest.raises(Failed, match="EX4DSampleScene: interrupted"):
        server.wait(prompt)


def test_the_same_graph_runs_nothing_twice(server, workflow):
    clip = workflow.clip(seed=21)
    _, _, prior = workflow.prior(clip)
    workflow.add("SaveImage", images=[prior, 0], filename_prefix="twice")
    assert server.cached(workflow) == set()
    assert server.cached(workflow) == set(workflow)


def test_a_changed_seed_renders_again_and_builds_nothing_again(server, workflow):
    clip = workflow.clip(seed=22)
    _, path, prior = workflow.prior(clip)
    shown = workflow.add("PreviewImage", images=[prior, 0])
    workflow.add("PreviewImage", images=[workflow.add("EX4DDepthToImages", depth=[clip, 1]), 0])
    server.cached(workflow)
    workflow[prior]["inputs"]["seed"] = 5
    assert server.cached(workflow) == set(workflow) - {prior, shown}
    workflow[path]["inputs"]["move.yaw"] = 30.0
    assert server.cached(workflow) == set(workflow) - {path, prior, shown}
    workflow[clip]["inputs"]["seed"] = 23
    assert server.cached(workflow) == set()


# ---- an output node that a saved workflow holds -------------------------------------------------


TOO_LATE = '{"keys": [{"frame": 0}], "retime": [{"frame": 0, "source": 400}]}'
UNMAKEABLE = [({}, "width, height: 0 takes the size from scene"), ({"width": 48, "height": 32}, "frames: 0 takes"),
              ({"width": 48, "height": 32, "frames": 5}, "radius: 0 takes it"),
              ({"scene": ["1", 1], "keyframes": TOO_LATE}, "retime: source frame 400 is not in the clip")]


@pytest.mark.parametrize("given, words", UNMAKEABLE)
def test_keyframes_that_cannot_be_made_stop_a_run_only_where_they_are_used(server, workflow, given, words):
    """The node saves nothing, but runs in every graph that holds it, as it shows its scene."""
    clip = workflow.clip()
    _, _, prior = workflow.prior(clip)
    shown = workflow.add("PreviewImage", images=[prior, 0])
    keys = workflow.add("EX4DCameraKeyframes", **given)
    for _ in range(2):
        outputs = server.run(workflow)
        assert len(outputs[shown]["images"]) == 5
        assert outputs[keys]["ex4d_complaint"][0].startswith(words)
    workflow.add("PreviewImage", images=[keys, 1])
    with pytest.raises(Failed, match=words):
        server.run(workflow)
    workflow[keys]["inputs"] |= {"scene": [clip, 1], "keyframes": '[{"frame": 0}]'}
    assert "ex4d_complaint" not in server.run(workflow)[keys]
