// How the robot stands, in one look: whether it moves, why not, what to do; ages, ratio, latencies, processes, the log.
import { html } from "./html.js";
import { link } from "./link.js";

// What the live robot does, on every view: since when, why, how far away it is, who steers. Always of the same size: nothing below
// it moves when the robot does something else.
export function Strip({ moment, lost, operator }) {
  const safety = moment?.safety;
  const mode = lost ? "LOST" : safety?.mode ?? "STARTING";
  const [first = "", ...others] = lost ? [gone(safety, operator)] : [...(safety?.reasons ?? []), ...unrecorded(moment)];
  const todo = lost ? "check the network" : safety?.todo ?? "";
  const moves = lost || !safety || safety.moves === null ? "" : safety.moves ? "the arms move" : "the arms stand still";
  const since = lost ? link.silentMs() / 1000 : safety?.since_s;
  const all = [first, ...others, todo].filter(Boolean).join("; ");
  return html`<header class=${`banner ${mode.toLowerCase().replaceAll(" ", "-")}`} role="status">
    <strong>${mode}</strong>
    <span class="moves">${moves} <small>${since === undefined ? "" : `for ${duration(since)}`}</small></span>
    <span class="reasons" title=${all}>${first}${others.length > 0 && html` <small>and ${others.length} more</small>`} <i>${todo}</i></span>
    <span class="way">${lost ? "no answer" : `live, round trip ${trip(link.roundTripMs)}`}</span>
    <span class="steers">${steers(operator?.lease)}</span>
  </header>`;
}

// How a recording stood at the moment that is looked at: never to be taken for the live robot.
export function Recorded({ name, moment }) {
  const safety = moment?.safety;
  const moved = !safety || safety.moves === null ? "" : safety.moves ? "the arms moved" : "the arms stood still";
  return html`<header class="then"><b>recording</b> <span class="muted">${name}</span>
    ${safety && html`<span>was <strong>${safety.mode}</strong> for ${duration(safety.since_s)}</span> <span>${moved}</span>`}
    <span class="reasons" title=${safety?.reasons.join("; ")}>${safety?.reasons.join("; ")}</span></header>`;
}

function gone(safety, operator) {
  const holds = operator?.lease.mine && operator.lease.deadman;
  const was = safety ? ` (it was ${safety.mode})` : "";
  return `no connection to the robot${was}; ${holds ? "the arms hold (deadman)" : "the robot continues by itself"}`;
}

function unrecorded(moment) {
  return moment?.recording?.fault ? [`not recorded: ${moment.recording.fault}`] : [];
}

function steers(lease) {
  if (!lease) return "";
  return lease.mine ? "you steer" : lease.holder ? `${lease.holder} steers` : "nobody steers";
}

function trip(ms) {
  return ms === null ? "-" : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function duration(seconds) {
  const whole = Math.floor(Math.max(0, seconds));
  const [minutes, hours] = [Math.floor(whole / 60), Math.floor(whole / 3600)];
  return hours ? `${hours} h ${minutes % 60} min` : minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

export function Figures({ moment }) {
  const { ratio, safety, conditions, recording, scene, rates } = moment;
  const rows = [
    ...(moment.server ? [["remote policy", moment.server, "no System 2", false]] : [
      ["ratio 1:n", `1:${ratio.wanted}`, ratio.runs ? `${ratio.runs} runs, ${ratio.actions ?? "-"} actions, ${ms(safety?.condition_age_ms)} old at use${ratio.saturated ? "; saturated: System 2 cannot keep up" : ""}` : "-", ratio.saturated],
      ["condition", ms(conditions?.age_ms), conditions ? `the newest; System 2 takes ${conditions.forward_ms} ms, ${rates.conditions}/s` : "none", false],
    ]),
    ["chunk", ms(safety?.chunk_age_ms), `${moment.server ? "from the server" : "System 1"} ${rates.chunk}/s`, false],
    ["feedback", ms(safety?.feedback_age_ms), moment.joints.limited ? "limited by the safety layer" : "", false],
    ["holds, faults latched", `${safety?.holds ?? 0}, ${safety?.faults ?? 0}`, `${safety?.dropped ?? 0} chunks dropped, ${safety?.rejected ?? 0} rejected`, safety?.faults > 0],
    ["session", recording ? `${recording.megabytes} MB` : "-", recording?.fault || (recording?.lost ? `${recording.lost} messages lost` : ""), recording?.fault],
  ];
  if (scene) rows.push(["task", scene.success ? "done" : "not yet", moment.episode?.task ?? "", false]);
  return html`<table class="figures">${rows.map(([name, value, note, bad]) => html`
    <tr class=${bad ? "bad" : ""}><th>${name}</th><td>${value}</td><td class="muted">${note}</td></tr>`)}</table>`;
}

export function Latency({ bars }) {
  const total = bars.reduce((sum, bar) => sum + bar.ms, 0);
  if (!bars.length) return html`<div class="latency muted">no chunk yet</div>`;
  return html`<div class="latency" title="from the exposure of the newest frame to the first command of its chunk">
    <div class="bars">${bars.map((bar, index) => html`<i class=${`bar${index}`} style=${`flex:${bar.ms}`}></i>`)}</div>
    <div class="stages muted">${bars.map((bar, index) => html`<span><i class=${`bar${index}`}></i>${bar.name} ${bar.ms}</span>`)}
      <b>${total.toFixed(0)} ms</b></div>
  </div>`;
}

// What is well says only what it sends; what it lost, fault reports and new starts are shown where there are any.
export function Processes({ rows, stale }) {
  return html`<div class="processes" role="group" aria-label="processes">${rows.map((row) => html`
    <span class=${row.state === "alive" ? "" : "bad"} title="messages sent per second; messages lost, fault reports, restarts"><b>${row.process}</b>
      ${row.state === "alive" ? row.sent_hz > 0 && html` ${rate(row.sent_hz)}` : ` ${row.state}`}
      ${[["lost", row.lost], ["fault report", row.faults], ["restart", row.restarts]].map(([what, count]) =>
        count > 0 && html` <span class="bad">${count} ${what}${count > 1 && what !== "lost" ? "s" : ""}</span>`)}</span>`)}
    ${stale.length > 0 && html`<span class="bad">stale: ${stale.join(", ")}</span>`}</div>`;
}

function rate(hz) {
  return `${hz < 10 ? hz : Math.round(hz)}/s`;
}

export function Log({ moment }) {
  const events = moment.events.slice(-40).reverse();
  return html`<ol class="log">${events.map((event) => html`
    <li class=${event.text.endsWith(": alive") ? "muted" : event.kind}><time>${((event.at_ns - moment.now_ns) / 1e9 - (moment.late_ms ?? 0) / 1e3).toFixed(1)} s</time> ${event.text}</li>`)}</ol>`;
}

function ms(value) {
  return value === null || value === undefined ? "-" : `${value} ms`;
}
