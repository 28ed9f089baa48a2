// What this page may command: its socket, the lease, and what was answered. HOLD never gets lost: it is sent until it was heard.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { openOperator } from "./sockets.js";

const FREE = { holder: "", mine: false, deadman: false };
const NOT_HEARD = "HOLD has not arrived: no connection. It is resent on reconnection; press space at the robot, or support the arms and cut their power";

export function useOperator(live) {
  const socket = useRef(null);
  const [lease, setLease] = useState(FREE);
  const [refused, setRefused] = useState("");
  const [connected, setConnected] = useState(false);
  const seen = useRef(null);
  useEffect(() => {
    if (!live) return undefined;
    const opened = openOperator({
      lease: setLease,
      refused: setRefused,
      held: () => setRefused((said) => (said === NOT_HEARD ? "" : said)),
      unheard: () => setRefused(NOT_HEARD),
      well: setConnected,
      seen: () => seen.current,
    });
    socket.current = window.video2act.operator = opened;
    // Space holds from everywhere but where texts are typed; it presses no button and ticks no box. A key that stays down is one
    // press: Enter on a button, too.
    const space = (event) => {
      const repeated = event.repeat && event.target.tagName === "BUTTON";
      if ((event.code !== "Space" && !repeated) || writes(event.target)) return;
      event.preventDefault();
      event.stopPropagation();
      if (event.type === "keydown" && !event.repeat) hold();
    };
    for (const type of ["keydown", "keyup"]) window.addEventListener(type, space, true);
    return () => {
      for (const type of ["keydown", "keyup"]) window.removeEventListener(type, space, true);
      opened.close();
    };
  }, [live]);
  const send = (name, confirmed) => { setRefused(""); socket.current.send(name, confirmed); };
  const hold = () => {
    window.video2act.heldAt = performance.now();
    socket.current.hold();
  };
  // `saw`: the robot's time (ns) that this page shows, which every wish but HOLD tells: what was asked of an old picture is refused.
  const saw = (atNs) => { seen.current = atNs; };
  return { lease, refused, connected, send, hold, saw, socket: () => socket.current, clear: () => setRefused("") };
}

// By the pointer as soon as it touches; a click without one comes from the keyboard.
export function Hold({ operator }) {
  return html`<button class="hold" onPointerDown=${operator.hold} onClick=${(event) => event.detail === 0 && operator.hold()}>HOLD <small>space</small></button>`;
}

function writes(element) {
  const typed = element.tagName === "INPUT" && !["checkbox", "range", "button"].includes(element.type);
  return typed || element.tagName === "TEXTAREA";
}
