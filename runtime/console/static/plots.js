// A joint over time, or all of an arm: measured, commanded, what the newest chunk wants next, where chunks were spliced in.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { html } from "./html.js";

const SPAN_S = 6;
const AHEAD_S = 2.2;
const LEAST = 0.05; // rad or m: a joint that stands still is a straight line
const PAD = 0.02;
const SIDES = ["left", "right"];
const JOINTS = [1, 2, 3, 4, 5, 6].map((number) => `j${number}`).concat("gripper");
const NAMES = SIDES.flatMap((side) => JOINTS.map((joint) => `${side} ${joint}`));

// `seek`, of a recorded session: go to a time (ns), by a click into the plot.
export function Plots({ moment, history, seek }) {
  const [chosen, setChosen] = useState(NAMES[1]); // a joint, or a side: all joints of it
  const [whole, setWhole] = useState(false);
  const joints = SIDES.includes(chosen) ? JOINTS.map((joint) => `${chosen} ${joint}`) : [chosen];
  const plot = (name) => html`<${Plot} key=${name} ...${{ moment, history, seek, whole: whole && history.whole, small: joints.length > 1 }} joint=${NAMES.indexOf(name)} />`;
  return html`<section class="plots">
    <div class="row small"><select value=${chosen} aria-label="joint" onChange=${(event) => setChosen(event.target.value)}>
      ${[...SIDES, ...NAMES].map((name) => html`<option value=${name}>${SIDES.includes(name) ? `${name} arm` : name}</option>`)}</select>
      ${history.whole && html`<button class=${whole ? "chosen" : ""} onClick=${() => setWhole(!whole)}>whole session</button>`}
      <span class="key measured">measured</span><span class="key commanded">commanded</span><span class="key chunk">chunk</span>
      <span class="key seam">seam</span></div>
    ${joints.length === 1 ? plot(chosen) : html`<div class="several">${joints.map((name) => html`
      <div><button class="small" onClick=${() => setChosen(name)}>${name}</button>${plot(name)}</div>`)}</div>`}
  </section>`;
}

function Plot({ moment, history, joint, whole, seek, small }) {
  const place = useRef(null);
  const plot = useRef(null);
  const shown = useRef({});
  shown.current = { moment, history, whole, seek };
  useEffect(() => {
    plot.current = new uPlot(options(place.current, shown, small), [[], [], [], []], place.current);
    const resized = new ResizeObserver(() => place.current && plot.current.setSize(size(place.current)));
    resized.observe(place.current);
    return () => { resized.disconnect(); plot.current.destroy(); };
  }, []);
  useEffect(() => plot.current?.setData(data(moment, history, joint, whole)), [moment, history, joint, whole]);
  return html`<div class="plot" ref=${place}></div>`;
}

// What the plots of a live robot remember: a row a moment.
export class History {
  rows = [];
  seams = [];
  whole = null;
  note(moment) {
    if (!moment.joints.measured) return;
    const at = moment.now_ns / 1e9;
    if (this.rows.length && at < this.rows.at(-1).at) [this.rows, this.seams] = [[], []];
    const seam = moment.seam_ns / 1e9;
    if (moment.seam_ns && seam !== this.seams.at(-1)) this.seams = [...this.seams.filter((old) => old > at - SPAN_S), seam];
    this.rows.push({ at, measured: moment.joints.measured, commanded: moment.joints.commanded });
    while (this.rows.length && this.rows[0].at < at - SPAN_S) this.rows.shift();
  }
}

// All joints of a recorded session, as /sessions/NAME/joints tells them.
export class Recording {
  constructor(reported) {
    this.rows = reported.at_ns.map((at_ns, index) => ({ at: at_ns / 1e9, measured: reported.measured[index], commanded: reported.commanded[index] }));
    this.seams = reported.seams_ns.map((at_ns) => at_ns / 1e9);
    this.whole = this.rows.length ? [this.rows[0].at, this.rows.at(-1).at] : null;
  }
}

function data(moment, history, joint, whole) {
  const now = moment.now_ns / 1e9;
  const rows = whole ? history.rows : history.rows.filter((row) => row.at >= now - SPAN_S && row.at <= now + AHEAD_S);
  const points = rows.map((row) => [row.at - now, row.measured[joint], row.commanded?.[joint] ?? null, null]);
  moment.chunk?.q.forEach((q, index) => {
    const at = (moment.chunk.t0_ns + index * moment.chunk.dt_ns - moment.now_ns) / 1e9;
    if (at > 0 && at <= AHEAD_S) points.push([at, undefined, undefined, q[joint]]); // undefined: the line goes on
  });
  points.sort((one, other) => one[0] - other[0]);
  return [0, 1, 2, 3].map((column) => points.map((point) => (column === 3 && point[3] === null ? undefined : point[column])));
}

function options(place, shown, small) {
  const muted = getComputedStyle(place).color;
  const axis = { stroke: muted, grid: { stroke: muted, width: 0.3 }, ticks: { show: false }, size: 40, ...(small && { font: "9px system-ui", space: 18, size: 30, gap: 2 }) };
  const range = () => {
    const { moment, whole } = shown.current;
    return whole ? whole.map((at) => at - moment.now_ns / 1e9) : [-SPAN_S, AHEAD_S];
  };
  return {
    ...size(place),
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range }, y: { range: (_, low, high) => [Math.min(low, high - LEAST) - PAD, Math.max(high, low + LEAST) + PAD] } },
    ...(small && { padding: [13, 2, 2, 0] }), // above: its name
    axes: [{ ...axis, show: !small, size: 24, values: (_, ticks) => ticks.map((tick) => `${tick} s`) }, axis],
    series: [{}, ...[["#35c46a", 2], ["#ffb000", 1], ["#2ea8ff", 1, [4, 3]]].map(([stroke, width, dash]) => ({ stroke, width, dash, points: { show: false } }))],
    hooks: {
      draw: [(plot) => drawMarks(plot, shown.current)],
      ready: [(plot) => plot.over.addEventListener("click", (event) => {
        const { moment, seek } = shown.current;
        seek?.(moment.now_ns + 1e9 * plot.posToVal(event.offsetX, "x"));
      })],
    },
  };
}

// A tick at every seam, and a line through now.
function drawMarks(plot, { moment, history }) {
  const now = moment.now_ns / 1e9;
  const line = (at, length, colour) => {
    const x = plot.valToPos(at, "x", true);
    if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) return;
    plot.ctx.strokeStyle = colour;
    plot.ctx.beginPath();
    plot.ctx.moveTo(x, plot.bbox.top);
    plot.ctx.lineTo(x, plot.bbox.top + length);
    plot.ctx.stroke();
  };
  plot.ctx.save();
  for (const seam of history.seams) line(seam - now, 8, "rgba(172, 92, 214, 0.7)");
  if (history.whole) line(0, plot.bbox.height, "rgba(128, 128, 128, 0.9)");
  plot.ctx.restore();
}

function size(place) {
  return { width: Math.max(100, place.clientWidth), height: Math.max(30, place.clientHeight) };
}
