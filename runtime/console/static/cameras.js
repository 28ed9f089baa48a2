// The three cameras, each with its age; over the head picture, at will, what System 2 looks at.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { link } from "./link.js";
import { openPictures } from "./sockets.js";

const LATE_MS = 200;
const AGEING_MS = 200;
const KEPT_AGES = 5000;
const NONE = "none";
const COLOURS = [[64, 200, 255], [255, 120, 40], [160, 255, 90], [230, 110, 255]]; // of a policy's maps, in order

export function Cameras({ source, at, moment, lost }) {
  const [overlay, setOverlay] = useState(NONE);
  const { maps } = moment;
  const names = Object.keys(maps);
  const choices = [NONE, ...names].map((name) => html`
    <button class=${name === overlay ? "chosen" : ""} onClick=${() => setOverlay(name)}>${name}</button>`);
  return html`<section class="cameras">
    <div class="row small">System 2 sees: ${choices}<${Seen} moment=${moment} /></div>
    <div class=${moment.imagined ? "pictures four" : "pictures"}>
      ${moment.cameras.map((state) => html`<${Camera} key=${state.camera} ...${{ source, at, state, lost }}
        map=${state.camera === "head" ? maps[overlay] ?? null : null}
        colour=${COLOURS[Math.max(0, names.indexOf(overlay)) % COLOURS.length]} seen=${moment.conditions} />
        ${moment.imagined?.camera === state.camera ? html`<${Imagined} key="imagined" imagined=${moment.imagined} />` : null}`)}
    </div>
  </section>`;
}

function Seen({ moment }) {
  const conditions = moment.conditions;
  if (!conditions) return html`<span class="muted seen">${moment.server ? `remote policy ${moment.server}: no System 2` : "no condition yet"}</span>`;
  const saw = conditions.windows.map(({ camera, frames }) => `${camera} ${frames.length > 2 ? `${frames[0]} to ${frames.at(-1)}` : frames.join(", ")}`);
  return html`<span class="muted seen" title="frames that the newest condition saw">
    ${`condition ${conditions.seq} (${conditions.trigger}) saw ${saw.join(" and ")}; ${conditions.age_ms} ms old`}</span>`;
}

// What System 2 imagined for this moment, and how far what it imagined before was from what was seen.
function Imagined({ imagined }) {
  if (!imagined) return null;
  const { camera, jpeg, ahead_ms, beyond, error, still_error } = imagined;
  const apart = error === null ? "" : ` off by ${(100 * error).toFixed(1)} % (no motion: ${(100 * still_error).toFixed(1)} %)`;
  return html`<figure class=${beyond ? "imagined wrong" : "imagined"}>
    <div class="picture"><img src=${`data:image/jpeg;base64,${jpeg}`} alt="imagined" /></div>
    <figcaption title="mean difference between what System 2 had imagined and what the camera then saw; beside it the difference if nothing had moved">
      ${`${camera} imagined`}
      <span class=${beyond ? "bad" : "muted"}>${beyond ? "nothing newer" : `${ahead_ms} ms ahead`}${apart}</span></figcaption>
  </figure>`;
}

function Camera({ source, at, state, map, colour, seen, lost }) {
  const canvas = useRef(null);
  const over = useRef(null);
  const [age, setAge] = useState(null);
  const [number, setNumber] = useState(null);
  const captured = useRef(null);
  useEffect(() => {
    const ageing = setInterval(() => { // also when no picture comes any more
      if (captured.current !== null && at() === null) setAge(link.ageMs(captured.current));
    }, AGEING_MS);
    const pictures = openPictures(source, state.camera, at, (picture) => {
      const place = canvas.current;
      if (!place) return;
      if (picture === null) { // before the session's first one
        place.getContext("2d").clearRect(0, 0, place.width, place.height);
        captured.current = null;
        setAge(null);
        setNumber(null);
        return;
      }
      const { number, captureNs, bitmap } = picture;
      if (place.width !== bitmap.width) [place.width, place.height] = [bitmap.width, bitmap.height];
      place.getContext("2d").drawImage(bitmap, 0, 0);
      bitmap.close();
      const shown = at() === null ? link.ageMs(captureNs) : (at() - captureNs) / 1e6;
      captured.current = captureNs;
      setAge(shown);
      setNumber(number);
      const ages = (window.video2act.ages[state.camera] ??= []);
      ages.push(shown);
      if (ages.length > KEPT_AGES) ages.shift();
      window.video2act.drawn[state.camera] = { ageMs: shown, captureNs, atMs: performance.timeOrigin + performance.now() };
    });
    return () => { clearInterval(ageing); pictures.close(); };
  }, [source, state.camera]);
  useEffect(() => paint(over.current, map, colour), [map?.data, colour]);
  const inside = seen?.windows.some(({ camera, frames }) => camera === state.camera && frames.includes(number));
  const past = at() !== null; // of a session the age then counts, not how far its pictures are behind a playhead that runs
  const aged = past ? state.age_ms : age;
  const wrong = lost ? "no connection" : state.verdict || (!past && age !== null && age > LATE_MS ? `${Math.round(age)} ms old` : "");
  return html`<figure class=${wrong ? "wrong" : ""}>
    <div class="picture"><canvas ref=${canvas} width="256" height="192"></canvas>
    <canvas ref=${over} class="over" style=${map ? covering(map.covers) : ""} title=${seen ? `as System 2 saw it ${seen.age_ms} ms ago` : ""}></canvas></div>
    <figcaption>${state.camera.replace("_", " ")}
      <span class=${wrong ? "bad" : "muted"}>${wrong || `${aged === null ? "-" : Math.round(aged)} ms`}
        ${number === null ? "" : ` #${number}`}${inside ? " in the window" : ""}
        ${state.rate_hz ? ` ${state.rate_hz.toFixed(0)}/s` : ""}</span></figcaption>
  </figure>`;
}

// Which part of the picture a map is of: left, top, width and height, as shares of it.
function covering([left, top, width, height]) {
  return `left:${100 * left}%;top:${100 * top}%;width:${100 * width}%;height:${100 * height}%`;
}

// A map of System 2 as coloured light, the weaker half left out; the browser scales and smooths it.
function paint(place, map, colour) {
  if (!place) return;
  const context = place.getContext("2d");
  if (!map || !map.width) {
    context.clearRect(0, 0, place.width, place.height);
    return;
  }
  [place.width, place.height] = [map.width, map.height];
  const bytes = Uint8Array.from(atob(map.data), (letter) => letter.charCodeAt(0));
  const [middle, most] = [0.5, 1].map((share) => bytes.toSorted()[Math.round(share * (bytes.length - 1))]);
  const picture = context.createImageData(map.width, map.height);
  for (let index = 0; index < bytes.length; index += 1) {
    const light = Math.max(0, bytes[index] - middle) / Math.max(1, most - middle);
    picture.data.set([...colour, 215 * light], 4 * index);
  }
  context.putImageData(picture, 0, 0);
}
