// The sign of the house: one heartbeat.

import { svg } from "../dom.ts";

export function mark(): SVGSVGElement {
  return svg(
    "svg",
    { viewBox: "0 0 32 32", width: 26, height: 26, "aria-hidden": "true", class: "mark" },
    svg("rect", { width: 32, height: 32, rx: 8 }),
    svg("path", { d: "M4 17h5l3-8 5 15 4-11 2 4h5" }),
  );
}
