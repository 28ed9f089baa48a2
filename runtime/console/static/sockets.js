// The three kinds of sockets. Moments and pictures come one for each credit, so a slow page sees fewer, never older ones.
import { link } from "./link.js";

const AGAIN_MS = 500;
const SILENT_MS = 1000; // of a robot that answers at once
const OPENING_TRIPS = 4; // TCP, TLS, the socket's own greeting, and room
const SOCKETS = 5; // of a page, which a browser opens one after another
const READING_MS = 10000; // of a session, which may have to be read first
const MOMENTS = 8; // at most in flight, as the next
const PICTURES = 4;

function address(path) {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
}

// The times of the questions that were not answered yet.
class Waits {
  times = [];
  ask() { this.times.push(performance.now()); }
  answer() { this.times.shift(); }
  forgive(ms) { this.times = this.times.map((time) => time + ms); }
  sinceMs() { return this.times.length ? performance.now() - this.times[0] : 0; }
}

// Keeps a socket open. One that does not answer is not cut: a second one takes its place as soon as that is open. `begin()` is
// called at each opening, `heard(data)` for each message, `well(whether)` when it changes. An `eager` one tries again and again,
// the others when anything at all comes from there.
function keep(path, { begin, heard, well, silentMs = SILENT_MS, eager = false }) {
  let socket = null;
  let next = null;
  let triedAt = 0;
  let known = null;
  let waits = new Waits();
  const isWell = () => socket?.readyState === WebSocket.OPEN && waits.sinceMs() < link.patienceMs(silentMs);
  function open() {
    const opened = next = new WebSocket(address(path));
    triedAt = performance.now();
    opened.binaryType = "arraybuffer";
    opened.onopen = () => {
      drop(socket);
      [socket, next, waits] = [opened, null, new Waits()];
      link.hear();
      begin();
      check();
    };
    opened.onmessage = (message) => {
      link.hear();
      heard(message.data);
    };
    opened.onclose = () => {
      if (opened === next) next = null;
      check();
    };
  }
  function check() {
    const now = isWell();
    if (now !== known) well?.(known = now);
    if (now && next) next = drop(next);
    if (now) return;
    const passedMs = performance.now() - triedAt;
    const again = next && triedAt < link.backAt; // what was begun on the dead link is late by a retransmission
    if (again || passedMs > link.patienceMs(SILENT_MS, OPENING_TRIPS * (eager ? 1 : SOCKETS))) next = drop(next);
    if (!next && (again || passedMs > AGAIN_MS) && (eager || link.reachable())) open();
  }
  function forgive(ms) {
    triedAt += ms;
    waits.forgive(ms);
  }
  const keeper = { isWell, check, forgive };
  link.keepers.add(keeper);
  open();
  return {
    isOpen: () => socket?.readyState === WebSocket.OPEN,
    isWell,
    waits: () => waits,
    send: (value) => {
      if (socket?.readyState !== WebSocket.OPEN) return false;
      socket.send(JSON.stringify(value));
      return true;
    },
    close: () => {
      link.keepers.delete(keeper);
      drop(socket);
      drop(next);
    },
    lose: () => { socket?.close(); }, // for tests
  };
}

// Nothing waits for its end, which on a dead link comes after a minute.
function drop(socket) {
  if (socket) {
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
  return null;
}

// A keeper of answers to credits. A credit is given at the next frame of the screen; of a session one at a time, and only when
// another time is looked at. `heard(data, taken)` calls `taken()` when it has done with an answer.
function keepAsking(path, { at, most, begin, heard, well }) {
  let asked;
  let asking = false;
  let round = 0; // of openings: what one has begun does not go on in the next
  const ask = (first = false) => {
    if (asking) return;
    asking = true;
    const own = round;
    requestAnimationFrame(() => {
      asking = false;
      if (!kept.isOpen()) return;
      if (own !== round) return ask(true);
      const wanted = at();
      if (!first && wanted !== null && wanted === asked) return ask();
      asked = wanted;
      kept.waits().ask();
      kept.send({ at_ns: wanted, sent_ms: performance.now() });
      if (wanted === null && kept.waits().times.length < link.inFlight(most)) ask();
    });
  };
  const kept = keep(path, {
    begin: () => {
      round += 1;
      begin?.();
      ask(true);
    },
    heard: (data) => {
      const own = round;
      heard(data, () => {
        if (own !== round) return;
        kept.waits().answer();
        if (kept.waits().times.length < (at() === null ? link.inFlight(most) : 1)) ask();
      });
    },
    well,
    silentMs: at() === null ? SILENT_MS : READING_MS,
  });
  return kept;
}

// Moments of a run or a session. `at()` gives the time that is looked at, null for the newest. What a moment leaves out has not
// changed since the one before.
export function openMoments(source, at, shown, well) {
  let whole = {};
  return keepAsking(`/moments?source=${encodeURIComponent(source)}`, {
    at,
    most: MOMENTS,
    begin: () => { whole = {}; },
    heard: (data, taken) => {
      const reported = JSON.parse(data);
      if ("echo_ms" in reported) return link.note(reported.echo_ms, reported.now_ns);
      whole = { ...whole, ...reported };
      shown(whole);
      taken();
    },
    well,
  });
}

const HEADER_BYTES = 24;

// Pictures of one camera: `shown({number, captureNs, bitmap})`, `shown(null)` where there is none yet; the next is asked for when
// this one is drawn. A header alone says that there is nothing newer.
export function openPictures(source, camera, at, shown) {
  let newest = 0;
  return keepAsking(`/pictures/${camera}?source=${encodeURIComponent(source)}`, {
    at,
    most: PICTURES,
    begin: () => { newest = 0; },
    heard: async (data, taken) => {
      const header = new DataView(data);
      const [number, captureNs] = [0, 8].map((place) => Number(header.getBigInt64(place, true)));
      try {
        if (data.byteLength > HEADER_BYTES) {
          const bitmap = await createImageBitmap(new Blob([data.slice(HEADER_BYTES)], { type: "image/jpeg" }));
          if (at() !== null || number > newest) shown({ number, captureNs, bitmap }); // one that was decoded late is not shown
          newest = Math.max(newest, number);
        } else if (number === 0) shown(null);
      } catch { // a picture that cannot be decoded: its age goes on growing
      }
      taken();
    },
  });
}

const BEAT_MS = 50;
const HELD_MS = 300;
const PAGE = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

// The operator's socket: says that the page lives, 20 times a second, while it is open. A hold goes over it and beside it until
// the robot has heard it: a connection that is dead may seem open for minutes, and one that lost something waits for that.
// `unheard()` is called while it has not, `held()` when it has. `seen()`: the robot's time that is shown.
export function openOperator({ lease, refused, held, unheard, well, seen }) {
  let press = null; // the hold that was not heard yet
  let presses = 0;
  let late = null;
  let echo = null; // the last beat's answer, and when it came
  const wish = () => ({ type: "command", command: "hold", press });
  const heard = (which) => {
    if (which !== press) return;
    link.errands.delete("hold");
    clearTimeout(late);
    press = null;
    held();
  };
  const socket = keep(`/operator?page=${PAGE}`, {
    eager: true,
    begin: () => press && socket.send(wish()),
    heard: (data) => {
      const reported = JSON.parse(data);
      if (reported.type === "beat") {
        socket.waits().answer();
        link.note(reported.sent_ms, reported.now_ns);
        echo = { ns: reported.now_ns, at: performance.now() };
      } else if (reported.type === "lease") lease(reported);
      else if (reported.type === "refused") refused(reported.why);
      else heard(reported.press);
    },
    well,
  });
  function hold() {
    const own = press = `${PAGE}-${presses += 1}`;
    clearTimeout(late);
    if (socket.send(wish())) late = setTimeout(unheard, link.patienceMs(HELD_MS));
    else unheard();
    link.insist("hold", { path: `/hold?page=${PAGE}&press=${own}`, done: () => heard(own) });
  }
  const beat = setInterval(() => {
    if (!socket.isWell()) return; // what piles up on a dead connection would come all at once
    socket.waits().ask();
    const answered = echo && { echo_ns: echo.ns, kept_ms: performance.now() - echo.at };
    socket.send({ type: "beat", sent_ms: performance.now(), ...answered });
  }, BEAT_MS);
  return {
    hold,
    take: (name) => socket.send({ type: "take", name }),
    give: () => socket.send({ type: "give" }),
    deadman: (wanted) => socket.send({ type: "deadman", wanted }),
    send: (command, confirmed = false) => socket.send({ type: "command", command, confirmed, seen_ns: seen() }),
    steer: (wish) => socket.send({ type: "steer", ...wish, seen_ns: seen() }),
    stopBeating: () => clearInterval(beat), // for tests: a page that hangs
    lose: () => socket.lose(), // and one whose connection breaks
    close: () => { clearInterval(beat); clearTimeout(late); link.errands.delete("hold"); socket.close(); },
  };
}
