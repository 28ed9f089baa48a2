// The three kinds of sockets. Moments and pictures come one for each credit, so a slow page sees fewer, never older ones.

const AGAIN_MS = 500;

function address(path) {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
}

// Keeps a socket open. `begin(socket)` is called at each opening, `heard(data)` for each message, `lost()` when it is gone.
function keep(path, { begin, heard, lost }) {
  let socket = null;
  let ended = false;
  function open() {
    socket = new WebSocket(address(path));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => begin(socket);
    socket.onmessage = (message) => heard(message.data, socket);
    socket.onclose = () => {
      lost?.();
      if (!ended) setTimeout(open, AGAIN_MS);
    };
  }
  open();
  return {
    send: (value) => {
      if (socket.readyState !== WebSocket.OPEN) return false;
      socket.send(JSON.stringify(value));
      return true;
    },
    close: () => { ended = true; socket.close(); },
    lose: () => socket.close(),
  };
}

// How far the server's clock is ahead of ours, in ms: the smallest difference seen is the one least delayed on the way.
export class Clock {
  offsetMs = null;
  note(serverNs) {
    const offset = serverNs / 1e6 - performance.now();
    this.offsetMs = this.offsetMs === null ? offset : Math.max(offset, this.offsetMs - 0.01);
  }
  ageMs(stampNs) {
    return this.offsetMs === null ? null : performance.now() + this.offsetMs - stampNs / 1e6;
  }
}

// Moments of a run or a session. `at()` gives the time that is looked at, null for the newest.
export function openMoments(source, at, shown, lost) {
  const ask = asks(at);
  return keep(`/moments?source=${encodeURIComponent(source)}`, {
    begin: (socket) => ask(socket, true),
    heard: (data, socket) => {
      shown(JSON.parse(data));
      ask(socket);
    },
    lost,
  });
}

// Gives a credit at the next frame of the screen; of a session only when another time is looked at.
function asks(at) {
  let asked;
  return function ask(socket, first = false) {
    requestAnimationFrame(() => {
      if (socket.readyState !== WebSocket.OPEN) return;
      const wanted = at();
      if (!first && wanted !== null && wanted === asked) return ask(socket);
      asked = wanted;
      socket.send(JSON.stringify({ at_ns: wanted }));
    });
  };
}

const HEADER_BYTES = 24;

// Pictures of one camera: `shown({number, captureNs, bitmap})`, `shown(null)` where a session has none yet; the next is asked
// for when this one is drawn.
export function openPictures(source, camera, at, shown) {
  const ask = asks(at);
  return keep(`/pictures/${camera}?source=${encodeURIComponent(source)}`, {
    begin: (socket) => ask(socket, true),
    heard: async (data, socket) => {
      const header = new DataView(data);
      const [number, captureNs] = [0, 8].map((place) => Number(header.getBigInt64(place, true)));
      try {
        if (data.byteLength === HEADER_BYTES) shown(null);
        else shown({ number, captureNs, bitmap: await createImageBitmap(new Blob([data.slice(HEADER_BYTES)], { type: "image/jpeg" })) });
      } catch { // a picture that cannot be decoded: its age goes on growing
      }
      ask(socket);
    },
  });
}

const BEAT_MS = 50;
const HELD_MS = 300;
const HOLD = { type: "command", command: "hold", confirmed: false };

// The operator's socket: says that the page lives, 20 times a second, while it is open. A hold is sent until the robot has heard
// it: a connection that is dead may look open for minutes. `unheard()` is called while it has not, `held()` when it has. `seen()`:
// the robot's time that is shown.
export function openOperator({ lease, refused, held, unheard, lost, seen }) {
  let holds = false;
  let waits = null;
  const socket = keep("/operator", {
    begin: (socket) => holds && socket.send(JSON.stringify(HOLD)),
    heard: (data) => {
      const reported = JSON.parse(data);
      if (reported.type === "lease") lease(reported);
      else if (reported.type === "refused") refused(reported.why);
      else if (holds) {
        holds = false;
        clearTimeout(waits);
        held();
      }
    },
    lost,
  });
  function hold() {
    holds = true;
    clearTimeout(waits);
    const late = () => {
      unheard();
      socket.lose(); // the next connection begins with it
    };
    if (socket.send(HOLD)) waits = setTimeout(late, HELD_MS);
    else unheard();
  }
  const beat = setInterval(() => socket.send({ type: "beat" }), BEAT_MS);
  return {
    hold,
    take: (name) => socket.send({ type: "take", name }),
    give: () => socket.send({ type: "give" }),
    deadman: (wanted) => socket.send({ type: "deadman", wanted }),
    send: (command, confirmed = false) => socket.send({ type: "command", command, confirmed, seen_ns: seen() }),
    steer: (wish) => socket.send({ type: "steer", ...wish, seen_ns: seen() }),
    stopBeating: () => clearInterval(beat), // for tests: a page that hangs
    lose: () => socket.lose(), // and one whose connection breaks
    close: () => { clearInterval(beat); clearTimeout(waits); socket.close(); },
  };
}
