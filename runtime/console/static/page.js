// The page: a live robot, the list of sessions, or sessions being looked through. What is shown stands in the address.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Hold, useOperator } from "./operator.js";
import { html } from "./html.js";
import { link } from "./link.js";
import { useLive } from "./live.js";
import { LiveRobot } from "./robot.js";
import { Replay, Sessions } from "./sessions.js";
import { Recorded, Strip } from "./state.js";

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
  const live = useLive(about.live, operator);
  const go = (where) => { location.hash = where; };
  const names = place.startsWith("session/") ? place.slice(8).split(",").map(decodeURIComponent) : null;
  const listed = place === "sessions" || (!about.live && !names);
  return html`
    <nav><b>video2act</b>
      ${about.live && html`<a href="#live" class=${!listed && !names ? "chosen" : ""}>${about.replays ? "replay" : "robot"}</a>`}
      <a href="#sessions" class=${listed || names ? "chosen" : ""}>sessions</a>
      <span class="answer bad" role="alert" title=${operator.refused}>${operator.refused}</span>
      ${about.steered && html`<${Hold} operator=${operator} />`}</nav>
    ${about.replays ? html`<div class="recorded"><${Recorded} name=${`playing ${about.replays}: no robot is connected`} moment=${live.moment} /></div>`
      : about.live && html`<${Strip} ...${live} operator=${about.steered ? operator : null} />`}
    ${listed ? html`<${Sessions} open=${(chosen) => go(`session/${chosen.map(encodeURIComponent).join(",")}`)} />`
      : names ? html`<${Replay} key=${place} names=${names} />`
      : html`<${LiveRobot} key="live" live=${live} operator=${about.steered ? operator : null} replays=${about.replays} />`}`;
}

const asked = performance.now();
fetch("/about").then((answer) => {
  link.guess(performance.now() - asked);
  return answer.json();
}).then((about) => render(html`<${Page} about=${about} />`, document.body));
