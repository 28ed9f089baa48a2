// The way to the robot's computer: how long it takes, how far its clock is ahead, whether anything comes at all.

const KEPT = 200; // round trips, of which the least held up tells the clock; at 20 beats a second: ten seconds
const TYPICAL = 20; // of which the median is shown
const DRIFT = 0.02; // a round trip that is a second old counts as 20 ms longer
const SLACK_MS = 20; // two round trips that tell clocks further apart are of two clocks: a computer that was started again
const SILENT_MS = 1000;
const TICK_MS = 50;
const STALLED_MS = 150; // a page that itself stood still for longer has heard nothing, whatever came
const PROBE_MS = 250;
const PROBES = 4; // and a patient one beside them: a browser opens six connections to a host
const PATIENT_MS = 10000; // of that one, for a link that has come back slower than it was
const WARM_MS = 5000; // a connection that nothing else uses is kept open for what must arrive: nothing waits before it there
const FLIGHT_MS = 100; // a round trip that is shorter is filled by one question at a time

class Link {
  heardAt = performance.now();
  backAt = 0; // when something came again after silence
  roundTripMs = null; // the median of the last ones
  keepers = new Set(); // of the sockets (sockets.js)
  errands = new Map(); // what must arrive, by name: the addresses that are asked until one answers
  #trips = []; // {at, tripMs, offsetMs}, oldest first
  #probes = []; // under way
  #patient = null;
  #probedAt = 0;

  // Something has come.
  hear() {
    const now = performance.now();
    if (!this.reachable()) this.backAt = now;
    this.heardAt = now;
  }

  // An answer has come to what was asked at `sentMs`, with the robot's time (ns) in between.
  note(sentMs, robotNs) {
    const at = performance.now();
    const trip = { at, tripMs: at - sentMs, offsetMs: robotNs / 1e6 - (sentMs + at) / 2 };
    const best = this.#best();
    if (best && Math.abs(trip.offsetMs - best.offsetMs) > (trip.tripMs + best.tripMs) / 2 + SLACK_MS) this.#trips = [];
    this.#trips = [...this.#trips.slice(1 - KEPT), trip];
    const sorted = this.#trips.slice(-TYPICAL).map(({ tripMs }) => tripMs).sort((one, other) => one - other);
    this.roundTripMs = sorted[sorted.length >> 1];
  }

  // How old a time of the robot's clock is; null: nobody knows yet. Half a round trip is taken for the way here.
  ageMs(stampNs) {
    const best = this.#best();
    return best ? performance.now() + best.offsetMs - stampNs / 1e6 : null;
  }

  // How long to wait for what takes `ms` where the way takes no time, and so many round trips.
  patienceMs(ms, trips = 1.5) {
    return ms + trips * (this.roundTripMs ?? 0);
  }

  // How many questions are asked before the first is answered, so that answers come one after another on a long way, too.
  inFlight(most) {
    return (this.roundTripMs ?? 0) < FLIGHT_MS ? 1 : Math.min(most, 2 + Math.floor(this.roundTripMs / 250));
  }

  reachable() {
    return this.silentMs() < this.patienceMs(SILENT_MS);
  }

  silentMs() {
    return performance.now() - this.heardAt;
  }

  // Asks until something answers, each time over a new connection: what was sent on a dead one may arrive a minute later. (Not by
  // WebSockets: a browser delays those to a host where many have failed.)
  start() {
    let last = performance.now();
    setInterval(() => {
      const now = performance.now();
      const stalledMs = now - last - TICK_MS;
      last = now;
      if (stalledMs > STALLED_MS) { // what came meanwhile is heard first
        this.heardAt += stalledMs;
        for (const keeper of this.keepers) keeper.forgive(stalledMs);
        return;
      }
      for (const keeper of this.keepers) keeper.check();
      const silent = !this.reachable() && [...this.keepers].some((keeper) => !keeper.isWell());
      if (!silent && !this.errands.size && now - this.#probedAt < WARM_MS) return;
      if (silent) giveUpPictures();
      if (now - this.#probedAt > Math.max(PROBE_MS, this.roundTripMs ?? 0)) this.#ask();
    }, TICK_MS);
  }

  // Something must arrive: it is sent now, and again until `done` has been called or it is taken back.
  insist(name, errand) {
    this.errands.set(name, errand);
    this.#ask();
  }

  #ask() {
    const now = this.#probedAt = performance.now();
    const [errand = { path: "/reach", done: () => {} }] = this.errands.values();
    if (!this.#patient || now - this.#patient.at > PATIENT_MS) {
      this.#patient?.ending.abort();
      const patient = this.#patient = this.#probe(errand, () => { if (this.#patient === patient) this.#patient = null; });
      return;
    }
    while (this.#probes.length >= PROBES) this.#probes.shift().ending.abort();
    const probe = this.#probe(errand, () => { this.#probes = this.#probes.filter((one) => one !== probe); });
    this.#probes.push(probe);
  }

  #probe({ path, done }, ended) {
    const probe = { at: performance.now(), ending: new AbortController() };
    fetch(path, { method: "POST", cache: "no-store", signal: probe.ending.signal }).then((answer) => {
      this.hear();
      this.guess((this.heardAt - probe.at) / 2); // the connection was opened, too
      if (answer.ok) done();
    }).catch(() => {}).finally(ended);
    return probe;
  }

  // What a round trip takes at least, before beats tell it or where it has become longer.
  guess(tripMs) {
    if (!(this.roundTripMs > tripMs)) this.roundTripMs = tripMs;
  }

  #best() {
    const now = performance.now();
    const cost = ({ tripMs, at }) => tripMs + DRIFT * (now - at);
    return this.#trips.reduce((one, other) => (one && cost(one) < cost(other) ? one : other), null);
  }
}

// Pictures of a list that still wait on a dead link would keep its few connections from what must arrive.
function giveUpPictures() {
  for (const image of document.images) if (!image.complete) image.removeAttribute("src");
}

export const link = new Link();

// The moment as it is by now: what was told `lateMs` ago has aged on the way, and since.
export function aged(moment, lateMs) {
  const late = Math.max(0, lateMs ?? 0);
  const add = (value) => (typeof value === "number" ? value + Math.round(late) : value);
  const { safety, conditions, ratio, cameras } = moment;
  return {
    ...moment,
    late_ms: late,
    safety: safety && {
      ...safety,
      since_s: safety.since_s + late / 1000,
      chunk_age_ms: add(safety.chunk_age_ms),
      condition_age_ms: add(safety.condition_age_ms),
      feedback_age_ms: add(safety.feedback_age_ms),
    },
    conditions: conditions && { ...conditions, age_ms: add(conditions.age_ms) },
    ratio: { ...ratio, age_ms: add(ratio.age_ms) },
    cameras: cameras.map((camera) => ({ ...camera, age_ms: add(camera.age_ms) })),
  };
}
