// The page: a live robot, the list of sessions, or sessions being looked through. What is shown stands in the address.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Hold, useOperator } from "./operator.js";
import { html } from "./html.js";
import { link } from "./link.js";
import { Robot } from "./robot.js";
import { Replay, Sessions } from "./sessions.js";

link.start();
window.video2act = { ages: {}, drawn: {}, link }; // what tests and curious people look at

function Page({ about }) {
  const [place, setPlace] = useState(location.hash.slice(1));
  useEffect(() => {
    const moved = () => setPlace(location.hash.slice(1));
    window.addEventListener("hashchange", moved);
    return () => window.removeEventListener("hashchange", moved);
  }, []);
  const operator = useOperator(about.steered);
  const go = (where) => { location.hash = where; };
  const names = place.startsWith("session/") ? place.slice(8).split(",").map(decodeURIComponent) : null;
  const listed = place === "sessions" || (!about.live && !names);
  return html`
    <nav><b>video2act</b>
      ${about.live && html`<a href="#live" class=${!listed && !names ? "chosen" : ""}>${about.replays ? "replay" : "robot"}</a>`}
      <a href="#sessions" class=${listed ? "chosen" : ""}>sessions</a>
      ${names && html`<span class="muted">${names.join(" beside ")}</span>`}
      ${about.replays && html`<span class="bad">playing ${about.replays}: no robot is connected</span>`}
      ${about.steered && html`<span class="answer bad" role="alert">${operator.refused}</span><${Hold} operator=${operator} />`}</nav>
    ${listed ? html`<${Sessions} open=${(chosen) => go(`session/${chosen.map(encodeURIComponent).join(",")}`)} />`
      : names ? html`<${Replay} key=${place} names=${names} />`
      : html`<${Robot} key="live" source="live" at=${() => null} operator=${about.steered ? operator : null} />`}`;
}

const asked = performance.now();
fetch("/about").then((answer) => {
  link.guess(performance.now() - asked);
  return answer.json();
}).then((about) => render(html`<${Page} about=${about} />`, document.body));
