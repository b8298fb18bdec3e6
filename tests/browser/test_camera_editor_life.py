"""Laws of a camera editor's life: no work is lost, nothing is left behind, and it says why it has no picture."""

import json
import os

import pytest

from headless.editor import FIND, KEYS, NODE, CameraEditor

CANVAS = (1500, 850)  # an empty place of the window
DAY = 10 if os.environ.get("EX4D_LONG_DAY") else 1
TAKES_A_STEP = 900  # milliseconds after which the front end has noted a change
TRACKER = "app.extensionManager.workflow.activeWorkflow.changeTracker"
LOOK_FOR_EDITS = f"() => {TRACKER}.captureCanvasState()"
SEE = f"(node) => seen.push(new WeakRef(({FIND})(node).ex4d))"
EDITORS = """() => app.graph.nodes.flatMap((node) => node.widgets ?? []).filter(({ name }) => name === "ex4d_view")
    .map(({ element }) => [element.isConnected, element.ex4d.text])"""


def reload(editor: CameraEditor) -> None:
    editor.page.wait_for_timeout(TAKES_A_STEP)
    editor.page.reload()
    editor.page.wait_for_function("() => frontEnd.isUp()")
    editor.wait("(editor) => editor.shownPictures > 0")


def tab(editor: CameraEditor, name: str) -> None:
    editor.page.locator(".workflow-label").filter(has_text=name).last.click()
    editor.page.wait_for_function("(kinds) => app.graph.nodes.length === kinds", arg={"other": 1, "editor": 4}[name])


def switch_tabs(editor: CameraEditor) -> None:
    for name in ("other", "editor"):
        tab(editor, name)


def come_back(editor: CameraEditor) -> None:
    """To the editor's tab, from another."""
    tab(editor, "editor")
    editor.wait("(editor) => editor.shownPictures > 0")
    editor.come_into_view()


@pytest.fixture
def other_tab(front_end):
    """A second workflow, in a tab before the editor's own."""
    front_end.open_prompt({"1": {"class_type": "EX4DSampleScene", "inputs": {}}}, "other")


def test_comfyui_undoes_and_redoes_each_edit(editor):
    """Also right after a key, and where ComfyUI looks for edits in between, as it does at every click."""
    editor.page.evaluate(LOOK_FOR_EDITS)
    editor.drag(-40, 0)
    first = editor.text
    editor.press("ArrowUp")
    second = editor.text
    for key, text in [("z", first), ("z", KEYS), ("y", first), ("y", second)]:
        editor.page.keyboard.press(f"Control+{key}")
        editor.wait(f"(editor) => editor.host.read() === {json.dumps(text)} && editor.shownPictures > 0 "
                    f"&& !{TRACKER}._restoringState")
        editor.page.evaluate(LOOK_FOR_EDITS)
    editor.come_into_view()
    editor.drag(0, 20)
    assert editor.keys[0]["yaw"] == json.loads(first)[0]["yaw"]


def test_a_panel_that_opens_and_closes_leaves_the_node_as_large_as_it_is(editor):
    """A size is of the workflow, and what is open of the browser."""
    size = "(id) => [...app.graph.getNodeById(id).size]"
    before, tall = editor.page.evaluate(size, NODE), editor.box["height"]
    tab = editor.root.get_by_role("tab").filter(has_text="Views")
    tab.click()
    editor.come_into_view()
    assert editor.page.evaluate(size, NODE) == before and editor.box["height"] > tall
    tab.click()
    editor.come_into_view()
    assert editor.page.evaluate(size, NODE) == before and editor.box["height"] == tall


def test_a_pasted_editor_has_the_text_and_is_another(editor):
    editor.drag(-40, 0)
    editor.page.evaluate("(id) => app.canvas.selectItems([app.graph.getNodeById(id)])", NODE)
    editor.page.mouse.move(*CANVAS)
    editor.page.keyboard.press("Control+c")
    editor.page.keyboard.press("Control+v")
    editor.page.wait_for_function("() => document.querySelectorAll('.ex4d-editor').length === 2")
    assert editor.page.evaluate(EDITORS) == [[True, editor.text]] * 2
    pasted = CameraEditor(editor.front_end, max(int(node) for node in editor.front_end.read()[1]))
    assert "Connect depth or a mesh" in pasted.words
    text = editor.text
    pasted.ask("(editor) => editor.hand.nudge('', (key) => ({ ...key, roll: 5 }))")
    assert editor.text == text != pasted.text


def test_an_editor_in_a_subgraph_runs_from_there_and_shows_its_picture(editor, renderer, artifacts):
    page = editor.page
    page.evaluate("""(id) => {
        const { subgraph } = app.graph.convertToSubgraph(new Set([app.graph.getNodeById(id)]));
        app.canvas.setGraph(subgraph);
    }""", NODE)
    inner = CameraEditor(editor.front_end, NODE)
    inner.wait("(editor) => editor.host.read() !== ''")
    assert "Run this node" in inner.words
    inner.root.get_by_role("button", name="Run").click()
    inner.wait("(editor) => editor.shownPictures > 0 && editor.coverage")
    before = inner.text
    inner.drag(-40, 0)
    assert inner.text != before
    inner.front_end.see(artifacts / f"editor_subgraph_{renderer}.png")


def test_collapsing_and_opening_again_keeps_the_editor(editor):
    editor.drag(-40, 0)
    text = editor.text
    for _ in range(2):
        editor.page.evaluate("(id) => app.graph.getNodeById(id).collapse()", NODE)
        editor.page.wait_for_timeout(300)
    editor.wait("(editor) => editor.layout.root.isConnected")
    editor.drag(0, 20)
    assert editor.keys[0]["yaw"] == json.loads(text)[0]["yaw"] and editor.keys[0]["pitch"] > 0


def test_app_mode_shows_the_editor(editor, front_end, renderer, artifacts):
    workflow = front_end.read()[0]
    workflow["extra"] = {"linearMode": True, "linearData": {"inputs": [[NODE, "ex4d_view"]], "outputs": [NODE]}}
    front_end.page.evaluate("([workflow, name]) => frontEnd.open(workflow, name)", [workflow, "app"])
    front_end.settle()  # there is no graph to fit into view
    skip = front_end.page.get_by_role("button", name="Skip")
    if skip.count():
        skip.first.click()
    shown = CameraEditor(front_end, NODE)
    shown.wait("(editor) => editor.layout.root.offsetWidth > 200")
    front_end.see(artifacts / f"editor_app_{renderer}.png")
    shown.wait("(editor) => editor.shownPictures > 0")
    shown.drag(-20, 0)
    assert shown.keys[0]["yaw"] > 0
    front_end.page.evaluate("() => { delete app.rootGraph.extra.linearMode; }")
    front_end.open({**workflow, "extra": {}}, "editor")


def test_it_says_why_there_is_no_picture(editor, front_end):
    page = front_end.page
    gone = json.dumps({"error": "The scene is not kept any more; run the node again", "reason": "no scene"})
    page.route("**/ex4d/picture", lambda route: route.fulfill(body=gone, content_type="application/json"))
    editor.ask("(editor) => editor.refresh()")
    editor.wait("(editor) => editor.sceneKey === null")
    assert "Run this node" in editor.words
    page.unroute("**/ex4d/picture")
    editor.run()
    assert editor.words == ""
    page.evaluate("(id) => app.graph.getNodeById(id).disconnectInput(app.graph.getNodeById(id).inputs.findIndex("
                  "(input) => input.name === 'scene'))", NODE)
    editor.ask("(editor) => editor.openScene(null)")
    assert "Connect depth or a mesh" in editor.words
    page.route("**/ex4d/**", lambda route: route.abort())
    editor.ask("(editor) => editor.openScene('x')")
    editor.wait("(editor) => editor.layout.picture.words.innerText.includes('does not answer')")
    page.unroute("**/ex4d/**")
    front_end.complaints.clear()  # of the requests that were stopped


# ---- nothing is left behind ---------------------------------------------------------------------


def test_an_editor_goes_with_its_node(editor, other_tab):
    """Also where the front end itself keeps the node; the browser may hold on to the element that was pressed last."""
    page, tools = editor.page, editor.page.context.new_cdp_session(editor.page)
    come_back(editor)
    page.evaluate("() => { window.seen = []; }")

    def alive(most: int) -> int:
        """How many of those seen there are, once what is on its way has come."""
        for _ in range(10):
            tools.send("HeapProfiler.collectGarbage")
            count = page.evaluate("() => seen.filter((one) => one.deref()).length")
            if count <= most:
                break
            page.wait_for_timeout(300)
        return count

    for _ in range(4):
        page.evaluate(SEE, NODE)
        switch_tabs(editor)
    assert alive(1) <= 1
    page.evaluate("""(see) => {
        for (let count = 100; count < 105; count++) {
            const node = LiteGraph.createNode("EX4DCameraKeyframes");
            node.id = count;
            app.graph.add(node);
            see(count);
            app.graph.remove(node);
        }
        see(3);
        const { subgraph } = app.graph.convertToSubgraph(new Set([app.graph.getNodeById(3)]));
        app.canvas.setGraph(subgraph);
        see(3);
    }""".replace("(see)", f"(given, see = {SEE})"))
    assert 1 <= alive(1) <= 2
    tab(editor, "other")
    assert alive(1) <= 1


def test_a_long_day_leaves_the_text_right_and_nothing_behind(editor, other_tab):
    """A tenth by default; with EX4D_LONG_DAY: 200 drags, 50 undos and redos, 20 tab switches, 10 reloads."""
    come_back(editor)
    tools = editor.page.context.new_cdp_session(editor.page)
    tools.send("Performance.enable")

    def left_behind() -> dict[str, float]:
        tools.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}
        return {name: metrics[name] for name in ("Nodes", "JSHeapUsedSize")}

    def drag_many(times: int) -> None:
        for step in range(times):
            editor.drag(*[(12, 0), (-12, 0), (0, 6), (0, -6)][step % 4])

    drag_many(4)
    before = left_behind()
    drag_many(20 * DAY)
    after = left_behind()
    assert {name for name, value in editor.keys[0].items() if value} == set()
    assert editor.keys[1:] == json.loads(KEYS)[1:]
    assert after["Nodes"] <= before["Nodes"] + 200
    assert after["JSHeapUsedSize"] <= before["JSHeapUsedSize"] + 8e6

    texts = [editor.text]
    for _ in range(5 * DAY):
        editor.press("ArrowRight", ".", ",")
        texts.append(editor.text)
    assert len(set(texts)) == 5 * DAY + 1
    for text in texts[-2::-1]:
        editor.ask("(editor) => editor.undo()")
        assert editor.text == text
    for text in texts[1:]:
        editor.ask("(editor) => editor.redo()")
        assert editor.text == text
    editor.page.wait_for_timeout(TAKES_A_STEP)

    for _ in range(2 * DAY):
        switch_tabs(editor)
        assert editor.text == texts[-1]
    for _ in range(DAY):
        reload(editor)
        assert editor.text == texts[-1]
    assert editor.page.locator(".ex4d-editor").count() == 1


# The last: what the page says while there is no server is not worth a look.
@pytest.mark.parametrize("renderer", ["classic"], indirect=True)
def test_a_restart_of_the_server_loses_nothing(editor, front_end, server_with_files):
    editor.drag(-40, 0)
    text, scene = editor.text, editor.ask("(editor) => editor.sceneKey")
    server_with_files.stop()
    editor.ask("(editor) => editor.refresh()")
    editor.wait("(editor) => editor.layout.picture.words.innerText.includes('does not answer')")
    editor.drag(0, 20)
    changed = editor.text
    assert changed != text
    shown = editor.ask("(editor) => editor.shownPictures")
    server_with_files.start()
    editor.wait(f"(editor) => editor.shownPictures > {shown} && editor.coverage")
    assert editor.words == "" and editor.text == changed
    assert editor.ask("(editor) => editor.sceneKey") == scene
    front_end.complaints.clear()
