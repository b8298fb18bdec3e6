"""Laws of the front end that ComfyUI pins and of the newest, with nodes drawn on the canvas and in Nodes 2.0."""

import re
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from ex4d_ops.files import read_video, write_video
from ex4d_ops.scene import FPS, sample_clip

from ..example_files import NAMES, as_graph, nodes_of, read, with_needs

try:
    from headless.editor import KEYS, CameraEditor
except ModuleNotFoundError:  # as conftest.py tells
    pass

PACK = Path(__file__).resolve().parents[2]
NEWEST = PACK / ".front-end" / "comfyui_frontend_package" / "static"
WINDOW = {"width": 1500, "height": 1000}  # pixels
READABLE = 8 / 14  # of the size of a node's words, below which the canvas leaves them out
SLACK = 1  # graph units, of rounding
LOOP = 150  # graph units, the least height of one
MOST_CLICKS = 5  # until the new view plays
README = (PACK / "README.md").read_text("utf-8").split("## The first five minutes in ComfyUI")[1]
STEPS = re.findall(r"^\d\. (.*?)(?=^\d\. |^\n)", README, re.DOTALL | re.MULTILINE)[:6]
PATIENCE = 300  # seconds


@pytest.fixture(scope="module", params=["pinned", "newest"])
def front_end_flags(request) -> list[str]:
    if request.param == "newest" and not NEWEST.is_dir():
        pytest.skip("there is no newest front end; get it with `make front-end`")
    return ["--cpu", *(["--front-end-root", str(NEWEST)] if request.param == "newest" else [])]


@pytest.fixture(scope="module")
def window(front_end) -> Iterator[None]:
    """A window as on a small screen."""
    usual = front_end.page.viewport_size
    front_end.page.set_viewport_size(WINDOW)
    yield
    front_end.page.set_viewport_size(usual)


def work_of(prompt: dict) -> dict:
    """What a prompt runs, without what a front end says about its nodes."""
    return {id: (node["class_type"], node["inputs"]) for id, node in prompt.items()}


@pytest.mark.parametrize("name", with_needs(NAMES))
def test_a_workflow_opens_whole_and_readable(name, window, renderer, front_end, usual_complaints, artifacts):
    front_end.complaints.clear()
    workflow = as_graph(name)
    front_end.open(workflow, name)
    assert front_end.fit_view() >= READABLE
    front_end.see(artifacts / f"{name}_{renderer}.png")
    assert front_end.faults() == [] and set(front_end.complaints) <= usual_complaints
    assert work_of(front_end.read()[1]) == work_of(read(f"api/{name}"))
    places = {node["id"]: front_end.places()[str(node["id"])] for node in workflow["nodes"]}
    for (a, (x, y, width, height)), (b, (x_b, y_b, width_b, height_b)) in combinations(places.items(), 2):
        assert (x + width <= x_b + SLACK or x_b + width_b <= x + SLACK or y + height <= y_b + SLACK
                or y_b + height_b <= y + SLACK), f"{a} overlaps {b}"
    for node in workflow["nodes"]:
        x, y, width, height = places[node["id"]]
        around = [left <= x + SLACK and top <= y + SLACK and x + width <= left + wide + SLACK
                  and y + height <= top + high + SLACK
                  for left, top, wide, high in (group["bounding"] for group in workflow["groups"])]
        assert sum(around) == (node["type"] != "MarkdownNote"), node["type"]


@pytest.mark.parametrize("ours", [True, False])
def test_a_film_begins_by_itself_in_a_graph_with_nodes_of_ours_alone(ours, renderer, front_end, server_with_files):
    clip = {"class_type": "EX4DSampleScene", "inputs": {"frames": 9, "width": 128, "height": 96}}
    film = {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": ["1", 2]}}
    if not ours:
        clip, film = film, {"class_type": "LoadVideo", "inputs": {"file": "your_video.mp4"}}
    front_end.open_prompt({"2": film, "3": {"class_type": "SaveVideo", "inputs": {
        "video": ["2", 0], "filename_prefix": f"{renderer}_{ours}", "format": "auto", "codec": "auto"}},
        **({"1": clip} if ours else {})}, "film")
    front_end.page.evaluate("() => frontEnd.run()")
    player = player_of(front_end.page, f"{renderer}_{ours}_00001_.mp4")
    player.wait_for(timeout=20_000)
    assert plays(player) == ours
    assert player.evaluate("(film) => film.muted") == ours


def test_the_loop_of_a_new_node_has_room(renderer, front_end, artifacts):
    seed = int(renderer == "nodes_2")  # for a graph that has run before would show nothing again
    front_end.open_prompt({
        "1": {"class_type": "EX4DSampleScene", "inputs": {"frames": 5, "width": 256, "height": 192, "seed": seed}},
        "2": {"class_type": "BuildDWMesh", "inputs": {"images": ["1", 0], "depth": ["1", 1]}},
        "3": {"class_type": "CameraTrajectory", "inputs": {"scene": ["1", 1]}},
        "4": {"class_type": "RenderDWMesh", "inputs": {"mesh": ["2", 0], "cameras": ["3", 0]}},
        "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": renderer}}}, "loop")
    front_end.page.evaluate("() => frontEnd.run()")
    loop = front_end.page.locator('img[src*=".webp"]:visible').first
    loop.wait_for(timeout=20_000)
    front_end.settle()
    front_end.see(artifacts / f"loop_{renderer}.png")
    assert loop.evaluate("(loop) => loop.getBoundingClientRect().height / app.canvas.ds.scale") >= LOOP


def named(step: int, words: str) -> list[str]:
    """What a step of the README calls what it asks for, where these words stand; * stands for a name."""
    pattern = re.escape(words).replace(r"\*", r"[*`]+([^*`]+)[*`]+").replace(r"\ ", r"\s+")
    found = re.search(pattern, STEPS[step - 1])
    assert found, f"step {step} of the README: {words}"
    return list(found.groups())


def wait_for_runs(server, page, count: int) -> list[dict]:
    """What the server tells of so many runs, once they are done, in their order."""
    end = time.monotonic() + PATIENCE
    while len(done := server.get("/history")) < count and time.monotonic() < end:
        page.wait_for_timeout(500)
    return sorted(done.values(), key=lambda run: run["prompt"][0])


def player_of(page, file: str):
    """Where the page shows a film, with buttons; its small picture in a list has none."""
    return page.locator(f"video[controls][src*='filename={file}'] >> visible=true")


def plays(film) -> bool:
    """Whether time goes on in a film within some seconds."""
    return film.evaluate("""async (film) => {
        const times = new Set();
        for (let left = 50; left && times.size < 3; left--) {
            if (!film.paused) times.add(film.currentTime);
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
        return times.size >= 3 && !film.error;
    }""")


def test_a_new_view_of_ones_own_video_is_few_clicks_away(front_end, server_with_files, tmp_path, artifacts):
    """The README's first two steps, from an open ComfyUI until the film plays: templates, the search if it does not
    wait for words, the card, a file, Run."""
    own, page, clicks = tmp_path / "my_own.mp4", front_end.page, []
    search, new_view = named(1, "search for *, and open *")
    widget, button = named(2, "in *, and press *")

    def click(place) -> None:
        place.click(timeout=20_000)
        clicks.append(str(place))

    write_video(own, sample_clip("garden", 9, (72, 128), seed=1)[0], FPS)
    server_with_files.post("/history", {"clear": True})  # other tests may have run graphs
    front_end.load()
    click(page.locator(".templates-tab-button"))  # its word is left out in a low window
    front_end.settle()
    if page.evaluate("() => document.activeElement.tagName") != "INPUT":
        click(page.get_by_placeholder("Search").first)
    page.keyboard.type(search)
    front_end.settle()
    card = page.get_by_role("dialog").get_by_text(new_view).first  # not the tab of a workflow that is open
    card.wait_for()
    front_end.see(artifacts / "cards.png")
    click(card)
    front_end.settle()
    if page.get_by_text("Skip", exact=True).count():  # a tour of the front end for who is new; Escape ends it as well
        page.keyboard.press("Escape")
        front_end.settle()
    page.get_by_text(widget, exact=True).locator("visible=true").first.wait_for()
    with page.expect_file_chooser(timeout=20_000) as chooser:
        click(page.locator("[class*=folder-search] >> visible=true").first)
    chooser.value.set_files(str(own))
    page.wait_for_function("() => app.graph.nodes.some((node) => node.widgets?.some(({ value }) => "
                           "value === 'my_own.mp4'))")
    click(page.get_by_role("button", name=button, exact=True).last)
    made = server_with_files.files(wait_for_runs(server_with_files, page, 1)[0]["outputs"])
    assert [read_video(path).size for path in made] == [(72, 128)]
    film = player_of(page, made[0].name)
    film.wait_for(timeout=20_000)
    assert plays(film)
    front_end.settle()  # its place may be drawn anew once the run has ended
    assert plays(film) and len(clicks) <= MOST_CLICKS, clicks
    front_end.see(artifacts / "new_view_app.png")
    assert film.evaluate("(film) => [film.videoHeight, film.videoWidth]") == [72, 128]
    assert film.evaluate("(film) => film.muted && film.loop")


def test_the_rest_of_the_first_five_minutes_goes_as_the_readme_says(front_end, server_with_files, artifacts):
    """From where its first two steps have come."""
    page = front_end.page
    (widget,) = named(3, "Change * and run again; only the rendering is done anew")
    field = page.get_by_label(widget).get_by_role("spinbutton").first
    field.fill("15")
    field.press("Enter")
    page.get_by_role("button", name=named(2, "press *")[0], exact=True).last.click()
    prompt, messages = (wait_for_runs(server_with_files, page, 2)[1][name] for name in ("prompt", "status"))
    cached = set(dict(messages["messages"])["execution_cached"]["nodes"])
    anew = {node["class_type"] for id, node in prompt[2].items() if id not in cached}
    assert "RenderDWMesh" in anew and not anew & {"LoadVideo", "EstimateVideoDepth", "BuildDWMesh"}
    assert 15 in [node["inputs"].get("move.yaw") for node in prompt[2].values()]

    shown = named(4, "three nodes, *, * and *; switch from * to * to see them")[:3]
    page.get_by_role("button", name=re.compile("node graph", re.IGNORECASE)).first.click()
    assert sorted(shown) == page.evaluate("""() => app.canvas.graph.nodes
        .filter(({ type }) => type !== "MarkdownNote").map((node) => node.subgraph?.name ?? node.constructor.title)
        .sort()""")
    front_end.see(artifacts / "new_view_graph.png")

    for step, number in ((4, "workflow 1 films a sample scene"), (5, "Workflow 15 also"), (5, "workflow 7 as")):
        assert number in STEPS[step - 1]
    assert not [node for node in nodes_of(read(NAMES[1])) if node["properties"].get("models")]

    title, press = named(6, "use *: drag the picture, and press * to keep a view")
    assert page.evaluate("(title) => Object.values(LiteGraph.registered_node_types).some("
                         "(kind) => kind.title === title)", title)
    editor = CameraEditor.open(front_end, KEYS)
    editor.seek(2)
    editor.drag(-40, 0)
    editor.root.get_by_role("button").filter(has_text=re.compile(f"^{press}$")).click()
    editor.rest()
    assert [key["frame"] for key in editor.keys] == [0, 2, 4, 8]
