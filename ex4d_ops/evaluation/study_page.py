"""The page of a user study: plain HTML and script that need nothing but the videos beside it."""

from __future__ import annotations

import html
import json

STYLE = """
body{font:17px/1.5 system-ui,sans-serif;margin:1.5rem auto;max-width:1400px;padding:0 1rem;color:#222;background:#fff}
.videos{display:flex;flex-wrap:wrap;gap:12px}figure{margin:0;flex:1 1 240px;max-width:420px}
video{width:100%;display:block;background:#000}figcaption{font-weight:600}
fieldset{border:1px solid #ccc;margin:1rem 0;padding:.4rem 1rem}label{margin-right:1.4rem;white-space:nowrap}
button{font:inherit;padding:.4rem 1.2rem;margin-right:.6rem}progress{width:100%}
"""
SCRIPT = """
const study = JSON.parse(document.getElementById('study').textContent), page = document.getElementById('page');
const kept = 'ex4d-study-' + study.study;

function drawing(seed) {  // numbers from 0 to 1, the same for the same seed
  let state = seed >>> 0;
  return () => {
    state = state + 0x6D2B79F5 >>> 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return ((mixed ^ mixed >>> 14) >>> 0) / 4294967296;
  };
}
function shuffle(list, draw) {
  const mixed = [...list];
  for (let last = mixed.length - 1; last > 0; last--) {
    const other = Math.floor(draw() * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other], mixed[last]];
  }
  return mixed;
}
function begin() {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0], draw = drawing(seed);
  const shown = shuffle(study.trials, draw).slice(0, study.clips);
  study.checks.forEach(check => shown.splice(1 + Math.floor(draw() * shown.length), 0, check));
  return {study: study.study, participant: seed.toString(16).padStart(8, '0'), began: new Date().toISOString(),
    trials: shown.map(trial => ({trial: trial.trial, order: shuffle(trial.videos, draw)})), answers: []};
}
function make(tag, settings = {}, ...inside) {
  const node = Object.assign(document.createElement(tag), settings);
  node.append(...inside);
  return node;
}
function remember() {
  try { localStorage.setItem(kept, JSON.stringify(state)); } catch { /* a private window keeps nothing */ }
}
function recall() {
  try { return JSON.parse(localStorage.getItem(kept)); } catch { return null; }
}
function video(name, title) {
  const node = make('video', {src: 'videos/' + name + '.mp4', muted: true, playsInline: true, preload: 'auto'});
  return make('figure', {}, node, make('figcaption', {textContent: title}));
}
function show() {
  const place = state.answers.length;
  if (place === state.trials.length) return finish();
  const {trial, order} = state.trials[place], since = Date.now(), choice = {};
  const source = [...study.trials, ...study.checks].find(each => each.trial === trial).source;
  const letters = order.map((_, number) => String.fromCharCode(65 + number));
  const figures = make('div', {className: 'videos'}, video(source, 'Source'),
    ...order.map((name, number) => video(name, letters[number])));
  const videos = [...figures.querySelectorAll('video')];
  let replays = -1;
  const play = () => {
    replays++;
    videos.forEach(each => { each.currentTime = 0; each.play().catch(() => {}); });
  };
  const next = make('button', {textContent: 'Next', disabled: true, onclick: () => {
    state.answers.push({trial, order, choice, replays, seconds: Math.round((Date.now() - since) / 100) / 10});
    remember();
    show();
  }});
  const questions = study.questions.map(question => make('fieldset', {}, make('legend', {textContent: question.text}),
    ...letters.map((letter, number) => make('label', {}, make('input', {type: 'radio', name: question.name,
      onchange: () => {
        choice[question.name] = order[number];
        next.disabled = Object.keys(choice).length < study.questions.length;
      }}), ' ' + letter))));
  page.replaceChildren(make('h2', {textContent: `Clip ${place + 1} of ${state.trials.length}`}),
    make('progress', {max: state.trials.length, value: place}), figures,
    make('p', {}, make('button', {textContent: 'Play again', onclick: play})), ...questions, next);
  scrollTo(0, 0);
  play();
}
function finish() {
  const text = JSON.stringify(state, null, 1), said = make('p');
  const link = make('a', {textContent: 'Download your answers', download: `answers-${state.participant}.json`,
    href: URL.createObjectURL(new Blob([text], {type: 'application/json'}))});
  page.replaceChildren(make('h2', {textContent: 'Thank you'}), said, make('p', {}, link));
  if (!study.post) {
    said.textContent = 'Please download your answers, and send the file to whoever asked you.';
    return;
  }
  said.textContent = 'Your answers are being sent.';
  fetch(study.post, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: text}).then(reply => {
    if (!reply.ok) throw new Error(reply.statusText);
    said.textContent = 'Your answers were sent. You can close this page.';
  }).catch(() => {
    said.textContent = 'Your answers could not be sent. Please download them, and send the file to whoever asked you.';
  });
}
let state = recall();
document.getElementById('start').onclick = () => {
  state ??= begin();
  remember();
  show();
};
"""


def write_study_page(study: dict) -> str:
    """The page of a study: what it shows is in study, see study.py."""
    data = json.dumps(study).replace("<", "\\u003c")
    count = min(study["clips"], len(study["trials"])) + len(study["checks"])
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{html.escape(study['title'])}</title><style>{STYLE}</style><div id=page>"
            f"<h1>{html.escape(study['title'])}</h1><p>You will see {count} clips one by one. Each was filmed "
            "by one camera: this is the source. Beside it, several programs show the same scene from a camera that "
            "moves to another side. Watch the videos, as often as you want, and answer two questions about them.</p>"
            "<p>No name or address is asked for. If you close the page, you can go on later in the same browser.</p>"
            "<button id=start>Start</button></div>"
            f'<script type="application/json" id="study">{data}</script><script>{SCRIPT}</script></html>')
