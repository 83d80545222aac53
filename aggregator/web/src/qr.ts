// The only file that names the QR code library: a text as a picture that a scanner reads.

import qrcode from "qrcode-generator";
import { svg } from "./dom.ts";

/** Modules of white around the code, as the standard wants them. */
const QUIET = 4;

/** `name`: what it is, for who does not see it. */
export function qr(text: string, name: string): SVGSVGElement {
  const code = qrcode(0, "M");
  code.addData(text, "Byte");
  code.make();
  const count = code.getModuleCount();
  let path = "";
  for (let row = 0; row < count; row += 1) {
    for (let column = 0; column < count; column += 1) if (code.isDark(row, column)) path += `M${column + QUIET} ${row + QUIET}h1v1h-1z`;
  }
  const size = count + 2 * QUIET;
  return svg(
    "svg",
    { class: "qr", viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": name, "shape-rendering": "crispEdges" },
    svg("rect", { class: "qr-ground", width: size, height: size }),
    svg("path", { class: "qr-ink", d: path }),
  );
}
