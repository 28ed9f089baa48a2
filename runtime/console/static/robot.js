// One robot: a live run, or a session at the moment that is looked at.
import { useEffect, useState } from "preact/hooks";
import { Arms } from "./arms.js";
import { Cameras } from "./cameras.js";
import { html } from "./html.js";
import { History, Plots, Recording } from "./plots.js";
import { aged, link } from "./link.js";
import { openMoments } from "./sockets.js";
import { Banner, Figures, Latency, Log, Processes } from "./state.js";
import { Steering } from "./steering.js";

const AGEING_MS = 200;

// `at`: the time to show, null for now. `seek`: how a click goes to another time (ns), of a session. `operator`: of a live robot.
export function Robot({ source, at, seek, operator }) {
  const [newest, setNewest] = useState(null);
  const [lost, setLost] = useState(false);
  const [, setAgeing] = useState(0);
  const [history, setHistory] = useState(() => new History());
  const live = source === "live";
  useEffect(() => {
    const moments = openMoments(source, at, (reported) => {
      operator?.saw(reported.now_ns);
      if (live) history.note(reported);
      window.video2act.moment = reported;
      setNewest(reported);
    }, (well) => setLost(live && !well));
    const timer = setInterval(() => live && setAgeing(performance.now()), AGEING_MS); // also when no moment comes any more
    if (!live) {
      fetch(`/sessions/${encodeURIComponent(source)}/joints`).then((answer) => answer.json())
        .then((reported) => setHistory(new Recording(reported)), () => {}); // without it the plots stay empty
    }
    return () => { clearInterval(timer); moments.close(); };
  }, [source]);
  const deadman = Boolean(operator?.lease.mine && operator.lease.deadman);
  const moment = live && newest ? aged(newest, link.ageMs(newest.now_ns)) : newest;
  if (!moment) return html`<${Banner} moment=${null} lost=${lost} deadman=${deadman} />`;
  return html`<article class=${lost ? "robot lost" : "robot"}>
    <${Banner} moment=${moment} lost=${lost} deadman=${deadman} />
    <div class="grid">
      <div class="left">
        <${Cameras} ...${{ source, at, moment, lost }} />
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
