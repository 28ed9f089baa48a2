// One robot: a live run, or a session at the moment that is looked at.
import { useEffect, useRef, useState } from "preact/hooks";
import { Arms } from "./arms.js";
import { Cameras } from "./cameras.js";
import { html } from "./html.js";
import { History, Plots, Recording } from "./plots.js";
import { Clock, openMoments } from "./sockets.js";
import { Banner, Figures, Latency, Log, Processes } from "./state.js";
import { Steering } from "./steering.js";

const LOST_MS = 1000;

// `at`: the time to show, null for now. `seek`: how a click goes to another time (ns), of a session. `operator`: of a live robot.
export function Robot({ source, at, seek, operator }) {
  const [moment, setMoment] = useState(null);
  const [lost, setLost] = useState(false);
  const clock = useRef(new Clock());
  const [history, setHistory] = useState(() => new History());
  const heard = useRef(performance.now());
  const live = source === "live";
  useEffect(() => {
    const moments = openMoments(source, at, (reported) => {
      heard.current = performance.now();
      if (live) clock.current.note(reported.now_ns);
      operator?.saw(reported.now_ns);
      if (live) history.note(reported);
      window.video2act.moment = reported;
      setLost(false);
      setMoment(reported);
    }, () => setLost(live));
    const timer = setInterval(() => setLost(live && performance.now() - heard.current > LOST_MS), 200);
    if (!live) {
      fetch(`/sessions/${encodeURIComponent(source)}/joints`).then((answer) => answer.json())
        .then((reported) => setHistory(new Recording(reported)), () => {}); // without it the plots stay empty
    }
    return () => { clearInterval(timer); moments.close(); };
  }, [source]);
  const deadman = Boolean(operator?.lease.mine && operator.lease.deadman);
  if (!moment) return html`<${Banner} moment=${null} lost=${lost} deadman=${deadman} />`;
  return html`<article class=${lost ? "robot lost" : "robot"}>
    <${Banner} moment=${moment} lost=${lost} deadman=${deadman} />
    <div class="grid">
      <div class="left">
        <${Cameras} ...${{ source, at, moment, lost }} clock=${clock.current} />
        <div class="both"><${Arms} moment=${moment} /><${Plots} moment=${moment} history=${history} seek=${seek} /></div>
        <${Latency} bars=${moment.latency} />
        <${Processes} rows=${moment.processes} stale=${moment.stale} />
      </div>
      <aside>
        ${operator ? html`<${Steering} ...${{ moment, operator, lost }} />` : html`<p class="small">${moment.instruction?.text}</p>`}
        <${Figures} moment=${moment} />
        <${Log} moment=${moment} />
      </aside>
    </div>
  </article>`;
}
