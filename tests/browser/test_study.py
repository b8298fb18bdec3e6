"""A user study in a real browser, from the first click to answers that are counted."""

import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from ex4d_ops import cli, files
from ex4d_ops.evaluation.tally import tally

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright isn't installed")

from headless.frontend import FLAGS, find_browser  # noqa: E402, after Playwright is known to be there

PACK = Path(__file__).parents[2]
METHODS = ("first", "second", "third")
posted: list[dict] = []


class Host(SimpleHTTPRequestHandler):
    """Serves the page, and takes answers."""

    def do_POST(self) -> None:
        posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words) -> None:
        pass


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[tuple]:
    """A study of three clips of which two are shown, open in a browser, and its folder."""
    if not find_browser():
        pytest.skip("there is no Chromium; get it with `apt-get install chromium`")
    folder = tmp_path_factory.mktemp("study")
    draw = torch.Generator().manual_seed(0)
    rows = ["method,clip,range,video,source,prior,cameras"]
    for clip in "abc":
        for name in ("source", *METHODS):
            files.write_video(folder / f"{clip}-{name}.mkv", torch.rand(5, 48, 64, 3, generator=draw), 10)
        rows += [f"{name},{clip},30,{clip}-{name}.mkv,{clip}-source.mkv,p,c" for name in METHODS]
    (folder / "runs.csv").write_text("\n".join(rows) + "\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Host, directory=folder / "study" / "page"))
    address = f"http://127.0.0.1:{server.server_port}"
    assert cli.main(["study", "build", str(folder / "runs.csv"), "--out", str(folder / "study"), "--clips", "2",
                     "--post", f"{address}/answers"]) == 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1300, "height": 900}, accept_downloads=True)
        page.goto(f"{address}/index.html")
        yield page, folder / "study"
        browser.close()
    server.shutdown()


def answer_clip(page, key: dict) -> None:
    """Choose the first method, and in a check what is right."""
    shown = [source.split("/")[-1][:-4] for source in page.eval_on_selector_all("video", "all => all.map(v => v.src)")]
    right = set(key["checks"].values()) | {name for trial in key["trials"].values()
                                           for name, method in trial["videos"].items() if method == METHODS[0]}
    place = next(number for number, name in enumerate(shown[1:]) if name in right)
    for question in ("consistency", "viewpoint"):
        assert page.get_by_role("button", name="Next").is_disabled()
        page.locator(f"input[name={question}]").nth(place).check()


def test_a_participant_answers_goes_on_after_a_reload_and_is_counted(page, tmp_path):
    page, study = page
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    key = json.loads((study / "key.json").read_text())
    page.get_by_role("button", name="Start").click()
    for clip in range(1, 5):
        assert page.locator("h2").inner_text() == f"Clip {clip} of 4"
        assert page.locator("figcaption").all_inner_texts() == ["Source", "A", "B", "C"]
        page.wait_for_function("() => [...document.querySelectorAll('video')].every(v => v.readyState > 1)")
        if clip == 2:
            (PACK / "artifacts" / "browser").mkdir(parents=True, exist_ok=True)
            page.screenshot(path=PACK / "artifacts" / "browser" / "study.png")
            page.reload()
            page.get_by_role("button", name="Start").click()
            assert page.locator("h2").inner_text() == "Clip 2 of 4"
            page.get_by_role("button", name="Play again").click()
        answer_clip(page, key)
        page.get_by_role("button", name="Next").click()
    page.get_by_text("Your answers were sent").wait_for()
    with page.expect_download() as saved:
        page.get_by_text("Download your answers").click()
    saved.value.save_as(tmp_path / "answers.json")
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert posted == [answers] and re.fullmatch(r"[0-9a-f]{8}", answers["participant"]) and not wrong
    trials = [answer["trial"] for answer in answers["answers"]]
    assert len(set(trials)) == 4 and sum(trial in key["checks"] for trial in trials) == 2
    assert [answer["replays"] for answer in answers["answers"]] == [0, 1, 0, 0]
    shares = tally([tmp_path / "answers.json"], study / "key.json").shares
    assert {each.method for each in shares if each.share == 1} == {METHODS[0]}


def test_every_participant_draws_another_order(page):
    page, _ = page
    drawn = page.evaluate("() => Array.from({length: 40}, () => JSON.stringify(begin().trials.map("
                          "each => [each.trial, each.order])))")
    orders = [json.loads(each) for each in drawn]
    assert len(set(drawn)) > 30 and {len(order) for order in orders} == {4}
    assert {trial for order in orders for trial, _ in order if trial[0] == "t"} == {"t0", "t1", "t2"}
    assert all(order[0][0].startswith("t") for order in orders), "a study does not begin with a check"
