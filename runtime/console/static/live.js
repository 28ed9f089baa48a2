// The live robot as this page knows it, on every view of it: its newest moment, aged by the way here, or that nothing comes.
import { useEffect, useRef, useState } from "preact/hooks";
import { aged, link } from "./link.js";
import { History } from "./plots.js";
import { openMoments } from "./sockets.js";

const AGEING_MS = 200;

// `live`: whether there is one.
export function useLive(live, operator) {
  const [newest, setNewest] = useState(null);
  const [well, setWell] = useState(true);
  const [, setAgeing] = useState(0);
  const history = useRef(new History());
  useEffect(() => {
    if (!live) return undefined;
    const moments = openMoments("live", () => null, (reported) => {
      operator.saw(reported.now_ns);
      history.current.note(reported);
      window.video2act.live = reported;
      setNewest(reported);
    }, setWell);
    const timer = setInterval(() => setAgeing(performance.now()), AGEING_MS); // also when no moment comes any more
    return () => { clearInterval(timer); moments.close(); };
  }, [live]);
  return { moment: newest && aged(newest, link.ageMs(newest.now_ns)), lost: !well, history: history.current };
}
