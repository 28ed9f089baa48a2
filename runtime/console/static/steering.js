// What an operator with the lease can do: commands, instruction, ratio, blend, episodes. HOLD is there for everybody: operator.js.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";

const BLENDS = ["prefix", "fade", "ensemble", "none"];
const COMMANDS = [
  ["arm", "arm the arms where they are; needed again after a hold"],
  ["run", "let the policy move the arms"],
  ["ready", "move slowly to the ready pose"],
  ["rest", "move slowly to the rest pose, where power can be cut"],
  ["takeover", "let the leaders lead the arms"],
  ["clear", "clear a fault"],
];
const CONFIRMED = [
  ["stop", false, "STOP lets the arms sink. Somebody must support them."],
  ["release", false, "RELEASE cuts the arms' power. Somebody must support them."],
  ["clear a stop", "clear", "Clearing a stop cuts the arms' power. Somebody must support them."],
];

export function Steering({ moment, operator, lost }) {
  const [name, setName] = useState(localStorage.getItem("name") ?? "operator");
  const [asking, setAsking] = useState(null);
  const { lease } = operator;
  const connected = operator.connected && !lost;
  const mine = lease.mine && connected;
  const rename = (event) => { setName(event.target.value); localStorage.setItem("name", event.target.value); };
  const answer = moment?.safety?.answer;
  return html`<section class="steering">
    <div class="row lease">
      <input value=${name} onInput=${rename} disabled=${mine} maxlength="80" aria-label="your name" />
      ${mine
        ? html`<button onClick=${() => operator.socket().give()}>give back the lease</button>`
        : html`<button disabled=${!connected} onClick=${() => { operator.clear(); operator.socket().take(name || "operator"); }}>take the lease</button>`}
    </div>
    <span class="muted line">${!connected ? "no connection" : lease.holder ? (mine ? "you hold the lease" : `${lease.holder} holds the lease`) : "nobody holds the lease"}</span>
    <label class="row small"><input type="checkbox" checked=${lease.deadman} disabled=${!mine}
      onChange=${(event) => operator.socket().deadman(event.target.checked)} /> hold when this page is lost (deadman)</label>
    <div class="row commands">${COMMANDS.map(([command, hint]) => html`
      <button disabled=${!mine} title=${hint} onClick=${() => operator.send(command)}>${command}</button>`)}</div>
    <div class="row commands dangers">${CONFIRMED.map(([label, command, warning]) => html`
      <button class="danger" disabled=${!mine} onClick=${() => setAsking({ label, command: command || label, warning })}>${label}</button>`)}
      ${asking && html`<${Question} ...${asking} close=${() => setAsking(null)} give=${(command) => operator.send(command, true)} />`}</div>
    <p class="bad answer" role="alert" title=${answer}>${answer}</p>
    <${Wishes} moment=${moment} mine=${mine} steer=${(wish) => operator.socket().steer(wish)} />
  </section>`;
}

// Within the page, which goes on beating meanwhile; what is chosen first does nothing. It lies above the button that was pressed, so
// that no second touch there says yes.
function Question({ label, command, warning, close, give }) {
  const cancel = useRef(null);
  useEffect(() => cancel.current?.focus(), []);
  return html`<div class="question" role="alertdialog"><p>${warning}</p><div class="row">
    <button ref=${cancel} onClick=${close}>cancel</button>
    <button class="danger" onClick=${() => { close(); give(command); }}>yes, ${label}</button></div></div>`;
}

// A whole number that is reported when it is entered; what is being typed is not overwritten by what the robot says meanwhile.
function Whole({ value, disabled, given }) {
  const [draft, setDraft] = useState(null);
  const enter = (event) => {
    if (draft !== null && event.target.checkValidity()) given(Number(event.target.value));
    setDraft(null);
  };
  return html`<input type="number" min="1" max="1000" required class="short" disabled=${disabled} value=${draft ?? value}
    onInput=${(event) => setDraft(event.target.value)} onBlur=${enter}
    onKeyDown=${(event) => { if (event.key === "Enter") { event.preventDefault(); enter(event); } }} />`;
}

function Wishes({ moment, mine, steer }) {
  const [draft, setDraft] = useState("");
  const [note, setNote] = useState("");
  const reported = moment?.instruction?.text ?? "";
  const judge = (result) => { steer({ result, note }); setNote(""); };
  const tell = (event) => {
    event.preventDefault();
    steer({ instruction: draft.replace(/\s+/g, " ").trim() });
    setDraft("");
  };
  return html`<form class="wishes" onSubmit=${tell}>
    <div class="instruction"><small class="muted">current instruction</small> <q title=${reported}>${reported}</q></div>
    <label><span class="muted">new instruction${draft.trim() && html`<b class="bad">, not sent yet</b>`}</span>
      <textarea rows="2" maxlength="1000" disabled=${!mine} value=${draft} placeholder="one sentence"
      onInput=${(event) => setDraft(event.target.value)}></textarea></label>
    <div class="row"><button type="submit" disabled=${!mine || !draft.trim()}>send to the robot</button>
      <button type="button" disabled=${!mine || !reported} title="edit the present instruction" onClick=${() => setDraft(reported)}>edit</button>
      <label class="small">1:<${Whole} value=${moment?.ratio.wanted} disabled=${!mine} given=${(ratio) => steer({ ratio })} /></label>
      <label class="small">blend <select disabled=${!mine} value=${moment?.episode?.blend}
        onChange=${(event) => steer({ blend: event.target.value })}>${BLENDS.map((blend) => html`<option>${blend}</option>`)}</select></label>
    </div>
    <div class="row"><span class="small">episode ${moment?.episode?.number ?? "-"} ${moment?.episode?.result ?? ""}</span>
      <input placeholder="note" maxlength="1000" value=${note} disabled=${!mine}
        onKeyDown=${(event) => event.key === "Enter" && event.preventDefault()} onInput=${(event) => setNote(event.target.value)} />
      <button type="button" disabled=${!mine} onClick=${() => judge("success")}>success</button>
      <button type="button" disabled=${!mine} onClick=${() => judge("failure")}>failure</button>
      <button type="button" disabled=${!mine} onClick=${() => judge("ended")}>end</button>
      <button type="button" disabled=${!mine} onClick=${() => steer({ next_episode: true })}>next</button></div>
  </form>`;
}
