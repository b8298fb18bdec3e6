"""The page of a report: one HTML file that needs nothing beside it, videos in step, figures per frame, worst first."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path

from .. import files
from .measures import MEASURES
from .one_run import summarize, write_preview
from .paper import lay_out
from .runs import COLOR, Run
from .table import Cell, text_tables

SHOWN = 12  # clips that a page shows the videos of
RANKED_BY = "psnr"  # the worst of its videos places a clip

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1250px;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;margin:.6rem 0 1.4rem}td,th{padding:.25rem .7rem;border-bottom:1px solid #ddd;
text-align:right;white-space:nowrap}td:first-child,th:first-child{text-align:left}.best{font-weight:700}
.videos{display:flex;flex-wrap:wrap;gap:8px}figure{margin:0;width:236px}video{width:100%;display:block;background:#000}
figcaption{font-size:13px;font-weight:600}input[type=range]{width:100%}svg{width:100%;height:130px;background:#f6f6f8}
section{margin:2rem 0;border-top:2px solid #222}small{color:#555}
"""
SCRIPT = """
const data = JSON.parse(document.getElementById('data').textContent);
const colors = ['#d62728','#1f77b4','#2ca02c','#9467bd','#ff7f0e','#17becf','#8c564b','#e377c2','#7f7f7f','#bcbd22'];
const chosen = document.getElementById('measure');
function draw(section, clip) {
  const name = chosen.value, svg = section.querySelector('svg');
  const curves = clip.runs.map(run => run.frames[name] || []);
  const known = curves.flat().filter(value => value !== null);
  svg.textContent = '';
  if (!known.length) return;
  const low = Math.min(...known), high = Math.max(...known), width = Math.max(...curves.map(c => c.length)) - 1 || 1;
  const add = (tag, settings, text = '') => {
    const node = document.createElementNS(svg.namespaceURI, tag);
    for (const key in settings) node.setAttribute(key, settings[key]);
    node.textContent = text;
    svg.append(node);
  };
  const place = (value, t) => (t / width * 1000) + ',' + (125 - 110 * (value - low) / (high - low || 1));
  curves.forEach((curve, k) => add('polyline', {fill: 'none', stroke: colors[k % colors.length], 'stroke-width': 2,
    points: curve.map((value, t) => value === null ? '' : place(value, t)).join(' ')}));
  [...section.querySelectorAll('figcaption')].slice(-clip.runs.length).forEach((caption, k) => {
    caption.style.color = colors[k % colors.length];
  });
  add('line', {class: 'now', y1: 0, y2: 130, stroke: '#000'});
  section.querySelector('.span').textContent = low.toPrecision(4) + ' to ' + high.toPrecision(4);
}
document.querySelectorAll('section').forEach((section, number) => {
  const clip = data[number], videos = [...section.querySelectorAll('video')], slider = section.querySelector('input');
  const button = section.querySelector('button');
  let playing = false, moment = 0, before = 0;
  const show = () => {  // the middle of one frame in all videos
    const frame = Math.min(Math.floor(moment * clip.fps + 1e-6), clip.frames - 1);
    videos.forEach(video => {
      if (Math.abs(video.currentTime - (frame + 0.5) / clip.fps) > 1e-3) video.currentTime = (frame + 0.5) / clip.fps;
    });
    slider.value = frame;
    const now = section.querySelector('.now');
    ['x1', 'x2'].forEach(end => now && now.setAttribute(end, frame / (clip.frames - 1) * 1000));
  };
  const tick = time => {
    if (!playing) return;
    moment = (moment + (time - before) / 1000) % (clip.frames / clip.fps);
    before = time;
    show();
    requestAnimationFrame(tick);
  };
  const play = on => { playing = on; button.textContent = on ? 'Pause' : 'Play'; };
  slider.max = clip.frames - 1;
  slider.oninput = () => { play(false); moment = slider.value / clip.fps; show(); };
  button.onclick = () => { play(!playing); before = performance.now(); requestAnimationFrame(tick); };
  chosen.addEventListener('change', () => { draw(section, clip); show(); });
  draw(section, clip);
  videos[0].addEventListener('loadeddata', show);
});
"""


def write_page(runs: Sequence[Run], entries: Sequence[dict], cells: list[Cell], remarks: Sequence[str],
               parts: Path) -> str:
    """The page of what was measured. parts: folder of the small copies, in which those of the sources are made too."""
    together: dict[tuple[str, str], list[tuple[Run, dict]]] = {}
    for run, entry in zip(runs, entries):
        if "frames" in entry:
            together.setdefault((run.clip, run.range), []).append((run, entry))
    known = [entry for entry in entries if "frames" in entry]
    worst = sorted(together.values(), key=worst_figure)[:SHOWN]
    options = "".join(f'<option value="{name}">{html.escape(measure.title)}</option>'
                      for name, measure in MEASURES.items() if any(name in entry["frames"] for entry in known))
    shown = "".join(show_clip(several, parts) for several in worst)
    data = json.dumps([describe_clip(several) for several in worst]).replace("<", "\\u003c")
    listed = "".join(f"<li>{html.escape(remark)}</li>" for remark in remarks)
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Evaluation</title><style>{STYLE}</style>'
            f"<h1>Evaluation</h1>{html_tables(cells)}"
            f"{f'<h2>Left out or changed</h2><ul>{listed}</ul>' if listed else ''}"
            f"<h2>Videos, worst first</h2><p>Per frame: <select id=\"measure\">{options}</select> "
            f"<small>{len(worst)} of {len(together)} clips and ranges, ordered by the lowest "
            f"{MEASURES[RANKED_BY].title} of their videos</small></p>{shown}"
            f'<script type="application/json" id="data">{data}</script><script>{SCRIPT}</script></html>')


def worst_figure(several: list[tuple[Run, dict]]) -> float:
    return min(summarize(entry).get(RANKED_BY, float("inf")) for _, entry in several)


def html_tables(cells: list[Cell]) -> str:
    tables = []
    for measure, (head, rows) in text_tables(cells):
        unit = f", {measure.unit}" if measure.unit else ""
        tables.append(f"<h3>{html.escape(measure.title + unit)} <small>{'higher' if measure.higher else 'lower'} is "
                      f"better</small></h3><p><small>{html.escape(measure.text)}.</small></p>{html_rows(head, rows)}")
    tables += [f"<h3>{html.escape(layout.title)}</h3><p><small>{html.escape(layout.text)}.</small></p>"
               f"{html_rows(layout.head, layout.rows)}" for layout in lay_out(cells)]
    return "".join(tables)


def html_rows(head: list[str], rows: list[list[tuple[str, bool]]]) -> str:
    body = "".join("<tr>" + "".join(f'<td{" class=best" if best else ""}>{html.escape(text)}</td>'
                                    for text, best in row) + "</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{html.escape(text)}</th>' for text in head)}</tr>{body}</table>"


def show_clip(several: list[tuple[Run, dict]], parts: Path) -> str:
    """A section with the source, the prior and every method's video in step."""
    run = several[0][0]
    videos = [("source", small_copy(run.source, run, parts)), ("prior", small_copy(run.prior / COLOR, run, parts)),
              *([("exact view", small_copy(run.exact, run, parts))] if run.exact else []),
              *((each.method, parts / f"{each.key}.mp4") for each, _ in several)]
    figures = "".join(f"<figure><video muted playsinline preload=auto src=\"data:video/mp4;base64,"
                      f"{base64.b64encode(path.read_bytes()).decode()}\"></video>"
                      f"<figcaption>{html.escape(name)}</figcaption></figure>" for name, path in videos)
    return (f"<section><h3>{html.escape(run.clip)}, {html.escape(run.range)}</h3><div class=videos>{figures}</div>"
            "<button>Play</button> <small class=span></small><input type=range min=0 max=1 value=0>"
            '<svg viewBox="0 0 1000 130" preserveAspectRatio="none"></svg></section>')


def small_copy(path: Path, run: Run, parts: Path) -> Path:
    """A copy that browsers play of a video that several runs share."""
    copy = parts / f"{run.key}-{path.stem}.mp4"
    if not copy.exists() or copy.stat().st_mtime_ns < path.stat().st_mtime_ns:
        clip = files.read_video(path)
        write_preview(copy, clip.frames, clip.fps)
    return copy


def describe_clip(several: list[tuple[Run, dict]]) -> dict:
    """What the page's script is told of a clip."""
    frames = max(len(values) for _, entry in several for values in entry["frames"].values())
    return {"fps": several[0][1]["fps"], "frames": frames,
            "runs": [{"method": run.method, "frames": entry["frames"]} for run, entry in several]}
