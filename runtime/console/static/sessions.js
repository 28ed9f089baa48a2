// Recorded sessions: the list, and one (or two side by side) under a scrubber over all their streams.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { RecordedRobot } from "./robot.js";

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
const JUMPS = ["fault", "mode", "seam", "condition", "instruction", "episode"];

export function Sessions({ open }) {
  const [rows, setRows] = useState(null);
  const [second, setSecond] = useState(null);
  useEffect(() => {
    const ending = new AbortController();
    fetch("/sessions", { signal: ending.signal }).then((answer) => answer.json()).then(setRows, () => {});
    return () => ending.abort();
  }, []);
  if (!rows) return html`<p class="muted">reading sessions</p>`;
  if (!rows.length) return html`<p class="muted">no sessions yet</p>`;
  const choose = (name) => (second ? open([second, name]) : open([name]));
  return html`<section class="sessions">
    ${second && html`<p>compare with ${second}: choose another <button onClick=${() => setSecond(null)}>show one</button></p>`}
    <table><thead><tr><th></th><th>session</th><th>task</th><th>length</th><th>ratio</th><th>outcome</th><th>holds</th><th>faults latched</th><th></th></tr></thead>
    <tbody>${rows.map((row) => html`<tr class="choice" onClick=${() => choose(row.name)}>
      <td><img loading="lazy" src=${`/sessions/${row.name}/thumbnail`} alt="" onError=${(event) => event.target.remove()} /></td>
      <td><button class="name" onClick=${(event) => { event.stopPropagation(); choose(row.name); }}>${row.name}</button><div class="muted">${row.megabytes} MB${row.finished ? "" : ", not finished"}${row.what_if_of ? `, what if of ${row.what_if_of}` : ""}</div></td>
      <td>${row.task ?? ""}</td><td>${row.session_s ?? row.duration_s ? `${row.session_s ?? row.duration_s} s` : ""}</td><td>${row.ratio_measured ?? ""}</td>
      <td>${row.outcome ?? ""}</td><td>${row.holds ?? ""}</td><td class=${latched(row) ? "bad" : ""}>${latched(row)}${row.fault_reports > latched(row) ? html`<div class="muted">${row.fault_reports} reports</div>` : ""}</td>
      <td><button onClick=${(event) => { event.stopPropagation(); setSecond(row.name); }}>compare…</button>
        ${rows.some((one) => one.name === row.what_if_of) && html`<button onClick=${(event) => { event.stopPropagation(); open([row.what_if_of, row.name]); }}>compare with its origin</button>`}</td></tr>`)}</tbody></table>
  </section>`;
}

// How often the safety layer latched a fault, as a live page counts them; all reports of faults (a process that was slow) beside it.
function latched(row) {
  return row.faults_latched ?? row.fault_reports ?? "";
}

// Sessions under one playhead, each from its own beginning.
export function Replay({ names }) {
  const [about, setAbout] = useState(null);
  const [wrong, setWrong] = useState("");
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(1);
  const [at, setAt] = useState(0); // s since the beginning
  const playhead = useRef(0);
  useEffect(() => {
    Promise.all(names.map((name) => fetch(`/sessions/${encodeURIComponent(name)}`).then(async (answer) => {
      if (!answer.ok) throw new Error(await answer.text());
      return answer.json();
    }))).then((reported) => {
      setAbout(reported);
      playhead.current = Math.max(...reported.map((one) => (one.seen_ns - one.begin_ns) / 1e9));
      setAt(playhead.current);
    }, (error) => setWrong(error.message));
  }, [names.join()]);
  const length = about ? Math.max(...about.map((one) => (one.end_ns - one.begin_ns) / 1e9)) : 0;
  const go = (seconds) => { playhead.current = Math.min(Math.max(0, seconds), length); setAt(playhead.current); };
  useEffect(() => {
    if (!playing) return undefined;
    let last = performance.now();
    let frame = 0;
    const step = (now) => {
      go(playhead.current + ((now - last) / 1000) * speed);
      last = now;
      if (playhead.current >= length) setPlaying(false);
      else frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [playing, speed, length]);
  if (wrong) return html`<p class="bad">${wrong}</p>`;
  if (!about) return html`<p class="muted">opening ${names.join(" and ")}</p>`;
  const marks = about.flatMap((one) => one.marks.map((mark) => ({ ...mark, at: (mark.at_ns - one.begin_ns) / 1e9 }))).sort((one, other) => one.at - other.at);
  const there = new Set(marks.map((mark) => mark.kind));
  const jump = (kind, forward) => {
    const found = marks.filter((mark) => mark.kind === kind && (forward ? mark.at > playhead.current + 0.01 : mark.at < playhead.current - 0.01));
    if (found.length) go(forward ? found[0].at : found.at(-1).at);
  };
  return html`<section class="replay">
    <div class="scrubber">
      <button onClick=${() => { if (at >= length) go(0); setPlaying(!playing); }}>${playing ? "pause" : "play"}</button>
      <select value=${speed} aria-label="speed" onChange=${(event) => setSpeed(Number(event.target.value))}>${SPEEDS.map((one) => html`<option value=${one}>${one}x</option>`)}</select>
      <div class="track"><input type="range" min="0" max=${length} step="0.01" value=${at} aria-label="time"
        onInput=${(event) => { setPlaying(false); go(Number(event.target.value)); }} />
        <div class="marks">${marks.filter((mark) => !["condition", "seam"].includes(mark.kind)).map((mark) => html`
          <i class=${mark.kind} style=${`left:${(100 * mark.at) / length}%`} title=${`${mark.at.toFixed(1)} s: ${mark.text}`}></i>`)}</div></div>
      <span class="time">${at.toFixed(2)} / ${length.toFixed(1)} s</span>
      ${JUMPS.map((kind) => html`<span class="jump"><button title=${`last ${kind}`} disabled=${!there.has(kind)} onClick=${() => jump(kind, false)}>‹</button>${kind}<button
        title=${`next ${kind}`} disabled=${!there.has(kind)} onClick=${() => jump(kind, true)}>›</button></span>`)}
    </div>
    ${about.some((one) => one.damage.length) && html`<p class="bad">${about.flatMap((one) => one.damage).join("; ")}</p>`}
    <div class=${names.length > 1 ? "beside" : ""}>${names.map((name, index) => html`
      <${RecordedRobot} key=${name} name=${name} at=${() => Math.round(Math.min(about[index].begin_ns + playhead.current * 1e9, about[index].end_ns))}
        seek=${(ns) => { setPlaying(false); go((ns - about[index].begin_ns) / 1e9); }} />`)}</div>
  </section>`;
}
