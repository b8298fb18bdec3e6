"""Laws of the camera editor in ComfyUI's own front end, with a real mouse, in both ways that nodes are drawn."""

import json
import math

import pytest

from ex4d_ops.files import read_path, write_path
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves
from headless.editor import KEYS, NODE, CameraEditor


def view_of(editor: CameraEditor) -> tuple[dict, float]:
    """The picture on the page, and its focal length there."""
    box, lens = editor.box, editor.ask("(editor) => editor.lens")
    return box, lens["focal"] * box["width"] / lens["width"]


# ---- gestures -----------------------------------------------------------------------------------


def test_each_gesture_changes_the_right_number_by_the_right_amount(editor, renderer, artifacts):
    box, focal = view_of(editor)
    degrees = 90 / box["width"]
    editor.drag(-40, 20)
    assert editor.keys[0] == {"frame": 0, "yaw": pytest.approx(40 * degrees, abs=0.01),
                              "pitch": pytest.approx(20 * degrees, abs=0.01)}
    editor.front_end.see(artifacts / f"editor_dragged_{renderer}.png")
    editor.ask("(editor) => editor.undo()")
    assert editor.text == KEYS

    editor.drag(30, -12, ["Shift"])
    assert editor.keys[0]["look_at"] == pytest.approx([-30 / focal, 12 / focal, 1], abs=1e-4)
    editor.ask("(editor) => editor.undo()")

    editor.drag(-30, 12, ["Alt"])
    assert editor.keys[0] == {"frame": 0, "pan": pytest.approx(math.degrees(math.atan2(30, focal)), abs=0.01),
                              "tilt": pytest.approx(math.degrees(math.atan2(12, focal)), abs=0.01)}
    editor.ask("(editor) => editor.undo()")

    reach = 0.25 * box["width"]
    editor.drag(-reach, reach, ["Control"], start=(0.75, 0.5))  # from three o'clock to six
    assert editor.keys[0] == {"frame": 0, "roll": pytest.approx(-90, abs=0.01)}
    editor.ask("(editor) => editor.undo()")

    editor.wheel(200)
    editor.wait("(editor) => editor.history.canUndo")
    assert editor.keys[0]["distance"] == pytest.approx(math.exp(0.2), abs=1e-3)
    editor.ask("(editor) => editor.undo()")

    editor.root.get_by_role("slider", name="Lens").fill("1")
    editor.rest()
    assert editor.keys[0] == {"frame": 0, "zoom": 2}
    editor.ask("(editor) => editor.undo()")
    assert editor.text == KEYS


def test_a_tool_does_without_a_key_what_the_key_does(editor):
    editor.root.get_by_role("button", name="Turn in place").click()
    editor.drag(-30, 0)
    assert set(editor.keys[0]) == {"frame", "pan", "tilt"} and editor.keys[0]["pan"] > 0
    editor.root.get_by_role("button", name="Circle the target").click()


def test_double_click_makes_what_is_there_the_target(editor):
    box, focal = view_of(editor)
    x, y = box["left"] + 0.7 * box["width"], box["top"] + 0.6 * box["height"]
    editor.page.mouse.dblclick(x, y)
    editor.wait("(editor) => editor.text.includes('look_at')")
    key = editor.keys[0]
    across, down, ahead = key["look_at"]
    assert across / ahead * focal == pytest.approx(0.2 * box["width"], abs=2)
    assert down / ahead * focal == pytest.approx(0.1 * box["height"], abs=2)
    assert key["distance"] == pytest.approx(math.hypot(across, down, ahead), abs=1e-3)


def test_every_key_of_the_keyboard_does_its_step_only_where_the_focus_is(editor):
    editor.press("ArrowRight", "ArrowRight", "ArrowUp")
    assert editor.keys[0] == {"frame": 0, "yaw": 2, "pitch": 1}
    editor.press("Shift+ArrowRight")
    assert editor.keys[0]["look_at"] == pytest.approx([0.02, 0, 1], abs=2e-3)
    editor.press(".", ".")
    assert editor.ask("(editor) => editor.frame") == 2
    editor.press("]")
    assert editor.ask("(editor) => editor.frame") == 4
    editor.press("Delete")
    assert [key["frame"] for key in editor.keys] == [0, 8]
    before = editor.text
    editor.page.mouse.click(1500, 850)  # the empty canvas
    for key in ("k", "Delete", "ArrowRight", ","):
        editor.page.keyboard.press(key)
    assert editor.text == before and editor.ask("(editor) => editor.frame") == 4


def test_one_finger_does_what_the_tool_does_and_two_move_and_come_closer(editor):
    box, focal = view_of(editor)
    x, y = box["left"] + box["width"] / 2, box["top"] + box["height"] / 2
    tools = editor.page.context.new_cdp_session(editor.page)

    def touch(*steps: list[tuple[float, float]]) -> None:
        """Fingers go down at the first places and over the others, relative to the middle of the picture."""
        before = json.dumps(editor.text)
        for step, places in enumerate(steps):
            points = [{"x": x + right, "y": y + down, "id": finger} for finger, (right, down) in enumerate(places)]
            tools.send("Input.dispatchTouchEvent",
                       {"type": "touchMove" if step else "touchStart", "touchPoints": points})
        tools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        editor.wait(f"(editor) => !editor.layout.picture.gesture && editor.host.read() !== {before}")

    touch([(0, 0)], [(-20, 0)], [(-40, 0)])
    assert editor.keys[0] == {"frame": 0, "yaw": pytest.approx(40 * 90 / box["width"], abs=0.01), "pitch": 0}
    editor.ask("(editor) => editor.undo()")
    touch([(-20, 0), (20, 0)], [(-30, 0), (30, 0)], [(-40, 0), (40, 0)])
    assert editor.keys[0]["distance"] == pytest.approx(0.5, abs=0.01)
    editor.ask("(editor) => editor.undo()")
    touch([(-20, 0), (20, 0)], [(0, 0), (40, 0)], [(10, 0), (50, 0)])
    assert editor.keys[0]["look_at"] == pytest.approx([-30 / focal, 0, 1], abs=2e-3)
    assert editor.keys[0]["distance"] == pytest.approx(1, abs=0.01)
    assert editor.page.evaluate("() => app.canvas.ds.scale") == 1  # the graph has not moved under the fingers


# ---- keyframes ----------------------------------------------------------------------------------


def test_a_view_between_keyframes_is_tried_and_kept_only_by_key(editor):
    editor.seek(2)
    editor.drag(-40, 0)
    assert editor.text == KEYS
    editor.press("Escape")
    assert editor.ask("(editor) => editor.draft") is None
    editor.drag(-40, 0)
    editor.root.get_by_role("button", name="Keep this view").click()
    editor.rest()
    key = editor.keys[1]
    assert [one["frame"] for one in editor.keys] == [0, 2, 4, 8]
    middle = editor.ask("(editor) => editor.path.moments[2]")
    assert key["yaw"] == pytest.approx(middle["yaw"], abs=0.01) and key["distance"] == pytest.approx(1, abs=1e-3)
    editor.drag(0, 0)
    editor.seek(6)
    editor.drag(-40, 0)
    editor.seek(7)  # leaves what was tried
    assert [one["frame"] for one in editor.keys] == [0, 2, 4, 8]


def test_keys_are_moved_copied_eased_and_deleted_on_the_time_line(editor):
    lane = editor.page.locator(".ex4d-lane").bounding_box()
    place = [lane["x"] + (frame + 0.5) * lane["width"] / 9 for frame in range(9)]
    mouse = editor.page.mouse

    def drag_key(start: int, end: int) -> None:
        height = editor.page.locator(".ex4d-key").first.bounding_box()
        mouse.move(place[start], height["y"] + height["height"] / 2)
        mouse.down()
        mouse.move(place[end], height["y"] + height["height"] / 2, steps=4)
        mouse.up()
        editor.rest()

    drag_key(4, 6)
    assert [key["frame"] for key in editor.keys] == [0, 6, 8]
    editor.page.keyboard.down("Alt")
    drag_key(6, 3)
    editor.page.keyboard.up("Alt")
    assert [(key["frame"], key.get("yaw")) for key in editor.keys] == [(0, None), (3, 20), (6, 20), (8, -20)]
    for ease in ("ease-in", "ease-out", "ease-in-out", None):
        editor.page.locator(".ex4d-way").first.click()
        editor.rest()
        assert editor.keys[0].get("ease") == ease
    mouse.click(place[3], lane["y"] + 4)
    editor.rest()
    assert editor.ask("(editor) => editor.frame") == 3
    editor.root.get_by_role("button", name="Delete the keyframe here").click()
    assert [key["frame"] for key in editor.keys] == [0, 6, 8]
    for _ in range(7):
        editor.root.get_by_role("button", name="Undo").click()
    assert editor.text == KEYS
    for _ in range(7):
        editor.root.get_by_role("button", name="Redo").click()
    assert [key["frame"] for key in editor.keys] == [0, 6, 8]


def test_exact_numbers_holds_and_presets_are_written_into_the_text(editor, renderer, artifacts):
    tab = editor.root.get_by_role("tab")
    tab.filter(has_text="Keyframes").click()
    editor.front_end.see(artifacts / f"editor_keyframes_{renderer}.png")
    field = editor.root.get_by_role("group").get_by_label("pitch").nth(1)
    field.fill("12.5")
    field.press("Tab")
    assert editor.keys[1] == {"frame": 4, "yaw": 20, "pitch": 12.5}
    tab.filter(has_text="Source time").click()
    editor.seek(2)
    editor.root.get_by_role("button", name="Hold the present source frame").click()
    editor.rest()
    assert json.loads(editor.text)["retime"] == [{"frame": 2, "source": 2}, {"frame": 8, "source": 2}]
    assert [moment["source"] for moment in editor.ask("(editor) => editor.path.moments")] == [0, 1, *[2] * 7]
    tab.filter(has_text="Presets").click()
    editor.root.get_by_label("Camera move").select_option("orbit")
    editor.root.get_by_role("button", name="Replace the keyframes").click()
    editor.wait("(editor) => editor.text.includes('60')")
    assert editor.keys[-1]["yaw"] == 60
    tab.filter(has_text="Views").click()
    editor.front_end.see(artifacts / f"editor_{renderer}.png")


# ---- paths that come from elsewhere -------------------------------------------------------------


DROP = """([area, name, content]) => {
    const carried = new DataTransfer();
    carried.items.add(new File([content], name));
    for (const kind of ["dragover", "drop"])
        area.dispatchEvent(new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
}"""


def test_a_path_file_that_is_dropped_becomes_keyframes(editor, tmp_path):
    _, depth = sample_clip("street", 9, (96, 128))
    path = move_path(parse_moves("orbit:yaw=25,ease=linear"), 9, automatic_radius(depth), depth.intrinsics, depth.size)
    write_path(tmp_path / "orbit.json", path)
    area = editor.root.locator(".ex4d-picture").element_handle()
    editor.page.evaluate(DROP, [area, "orbit.json", (tmp_path / "orbit.json").read_text()])
    editor.wait("(editor) => editor.path?.moments[8].yaw > 24")
    moments = editor.ask("(editor) => editor.path.moments")
    shown = [moment["rotation"] for moment in moments]
    assert path.cam_from_world[:, :3, :3].flatten(1).tolist() == [pytest.approx(one, abs=2e-3) for one in shown]
    editor.page.evaluate(DROP, [area, "words.json", '{"words": 1}'])
    editor.wait("(editor) => !editor.layout.picture.words.hidden")
    assert editor.words.startswith("words.json: lacks cam_from_world")
    assert len(editor.page.query_selector_all(".ex4d-editor")) == 1  # the page did not take it for a workflow


SEE_IN_3D = """async () => {
    const widget = app.graph.getNodeById(50)?.widgets.find(({ name }) => name === "image");
    return (await widget?.serializeValue?.(null, 0))?.camera_info;
}"""


def test_the_view_of_the_3d_viewer_becomes_a_keyframe(editor, front_end):
    page = front_end.page
    page.evaluate("""() => {
        const viewer = LiteGraph.createNode("Load3D");
        viewer.id = 50;
        viewer.pos = [900, 100];
        app.graph.add(viewer);
    }""")
    page.wait_for_function(SEE_IN_3D)
    editor.seek(8)
    editor.root.get_by_role("tab").filter(has_text="Presets").click()
    before = json.dumps(editor.text)
    editor.root.get_by_role("button", name="Take the view of ComfyUI's 3D viewer").click()
    editor.wait(f"(editor) => editor.host.read() !== {before}")
    camera = page.evaluate(SEE_IN_3D)
    moment = editor.ask("(editor) => editor.path.moments[8]")
    x, y, z = (camera["position"][axis] for axis in "xyz")
    assert moment["eye"] == pytest.approx([x, -y, -z], rel=1e-3)  # y is up there and down here, z back and ahead
    aim = [camera["target"][axis] - camera["position"][axis] for axis in "xyz"]
    ahead = [step / math.hypot(*aim) for step in (aim[0], -aim[1], -aim[2])]
    assert moment["rotation"][6:] == pytest.approx(ahead, abs=1e-3)
    assert editor.keys[-1]["zoom"] > 1  # 35 degrees are narrower than the node's own lens
    editor.root.get_by_role("tab").filter(has_text="Views").click()


# ---- the text is the only state -----------------------------------------------------------------


def test_text_written_by_hand_shows_at_once_whether_right_or_wrong(editor):
    box = editor.page.locator("textarea").first
    box.fill('[{"frame": 0, "yaw": 33}]')
    editor.wait("(editor) => editor.path?.moments[0].yaw === 33")
    assert editor.words == ""
    box.fill('[{"frame": 0, "yow": 33}]')
    editor.wait("(editor) => !editor.layout.picture.words.hidden")
    assert "yow is unknown" in editor.words
    box.fill('[{"frame": 0}')
    editor.wait("(editor) => editor.layout.picture.words.innerText.includes('JSON')")
    editor.drag(30, 0)
    assert editor.text == '[{"frame": 0}'
    box.fill(KEYS)
    editor.wait("(editor) => editor.layout.picture.words.hidden")


def test_linked_keyframes_are_shown_and_cannot_be_changed(editor, front_end):
    text = '[{"frame": 0, "yaw": 15}]'
    front_end.page.evaluate("""([id, text]) => {
        const maker = LiteGraph.createNode("PrimitiveStringMultiline");
        maker.pos = [800, 600];
        app.graph.add(maker);
        maker.widgets[0].value = text;
        const node = app.graph.getNodeById(id);
        maker.connect(0, node, node.inputs.findIndex((input) => input.name === "keyframes"));
    }""", [NODE, text])
    editor.run()
    editor.wait("(editor) => editor.path?.moments[0].yaw === 15")
    editor.drag(-40, 0)
    assert "come from another node" in editor.words
    assert editor.root.get_by_role("button", name="Keep this view").is_disabled()
    assert editor.text == KEYS and editor.ask("(editor) => editor.text") == text


def test_api_runs_give_the_cameras_that_the_editor_shows(editor, server_with_files):
    editor.drag(-40, 20)
    editor.seek(8)
    editor.drag(25, -5, ["Alt"])
    prompt = editor.front_end.read()[1]
    assert "ex4d_view" not in prompt[str(NODE)]["inputs"]
    files = server_with_files.files(server_with_files.run(prompt))
    path = read_path(next(file for file in files if file.suffix == ".json"))
    moments = editor.ask("(editor) => editor.path.moments")
    shown = [moment["rotation"] for moment in moments]
    assert path.cam_from_world[:, :3, :3].flatten(1).tolist() == [pytest.approx(one, abs=1e-5) for one in shown]


def test_a_saved_workflow_opens_as_it_was(editor, front_end):
    editor.drag(-40, 20)
    workflow, prompt = front_end.read()
    saved = next(node for node in workflow["nodes"] if node["id"] == NODE)["widgets_values"]
    assert editor.text in saved and len(saved) == 10
    front_end.open(json.loads(json.dumps(workflow)), "again")
    assert front_end.read()[1] == prompt
    assert CameraEditor(front_end, NODE).text == editor.text


def test_two_editors_on_one_page_keep_apart(editor, front_end):
    front_end.page.evaluate("""(id) => {
        const other = LiteGraph.createNode("EX4DCameraKeyframes");
        other.id = 30;
        other.pos = [app.graph.getNodeById(id).pos[0] + 600, app.graph.getNodeById(id).pos[1]];
        app.graph.add(other);
        app.graph.getNodeById(2).connect(0, other, other.inputs.findIndex((input) => input.name === "scene"));
    }""", NODE)
    other = CameraEditor(front_end, 30)
    before = other.text
    other.run()
    editor.drag(-40, 0)
    assert other.text == before and editor.keys[0]["yaw"] > 0
    changed = editor.text
    other.drag(40, 0)
    assert editor.text == changed and other.keys[0]["yaw"] < 0
