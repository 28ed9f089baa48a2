// One robot: a live run, or a session at the moment that is looked at.
import { useEffect, useState } from "preact/hooks";
import { Arms } from "./arms.js";
import { Cameras } from "./cameras.js";
import { html } from "./html.js";
import { History, Plots, Recording } from "./plots.js";
import { openMoments } from "./sockets.js";
import { Figures, Latency, Log, Processes, Recorded } from "./state.js";
import { Steering } from "./steering.js";

const NOW = () => null;

// `live`: what live.js knows. `operator`: of a robot that can be steered. `replays`: the session that is played in place of a robot.
export function LiveRobot({ live, operator, replays }) {
  const { moment, lost, history } = live;
  useEffect(() => { window.video2act.moment = window.video2act.live; }, [moment]);
  if (!moment) return null;
  return html`<${Robot} ...${{ moment, lost, history, operator, recorded: Boolean(replays) }} source="live" at=${NOW} />`;
}

// `at`: the time to show. `seek`: how a click goes to another time (ns).
export function RecordedRobot({ name, at, seek }) {
  const [moment, setMoment] = useState(null);
  const [history, setHistory] = useState(() => new History());
  useEffect(() => {
    const moments = openMoments(name, at, (reported) => {
      window.video2act.moment = reported;
      setMoment(reported);
    });
    const ending = new AbortController();
    fetch(`/sessions/${encodeURIComponent(name)}/joints`, { signal: ending.signal }).then((answer) => answer.json())
      .then((reported) => setHistory(new Recording(reported)), () => {}); // without it the plots stay empty
    return () => { ending.abort(); moments.close(); };
  }, [name]);
  return html`<div class="recorded"><${Recorded} name=${name} moment=${moment} />
    ${moment && html`<${Robot} ...${{ moment, history, at, seek }} source=${name} lost=${false} recorded />`}</div>`;
}

function Robot({ source, at, moment, lost, history, seek, operator, recorded }) {
  return html`<article class=${lost ? "robot lost" : "robot"}>
    <div class="grid">
      <div class="left">
        <${Cameras} ...${{ source, at, moment, lost }} />
        <div class="both"><${Arms} moment=${moment} recorded=${recorded} /><${Plots} moment=${moment} history=${history} seek=${seek} /></div>
        <${Latency} bars=${moment.latency} />
        <${Processes} rows=${moment.processes} stale=${moment.stale} />
      </div>
      <aside>
        ${operator ? html`<${Steering} ...${{ moment, operator, lost }} />` : html`<p class="small instruction">${moment.instruction?.text}</p>`}
        <${Figures} moment=${moment} />
        <${Log} moment=${moment} />
      </aside>
    </div>
  </article>`;
}
