// What every part of the page is written in: preact with htm, no build step.
import { h } from "preact";
import htm from "htm";

export const html = htm.bind(h);
