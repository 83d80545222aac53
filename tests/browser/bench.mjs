// The page under load, for `bench page`: a real headless Chromium before the real centre, told what to do on standard input and
// saying on standard output what happened and what it took. Asserts nothing.
//
//   PAGE=https://localhost:... SIGN_IN=https://... node bench.mjs
//
//   CHROMIUM    the browser (/usr/bin/chromium)
//   LIGHTHOUSE  a folder with it (`npm install --prefix FOLDER lighthouse@12`): its dependencies are 150, so that it is none of ours
//
// Says `first MS` when a live value is on screen, and `burst MS` for each burst of sound (epoch, milliseconds). On standard
// input: `watch SECONDS` (frames, CPU and memory meanwhile), `bytes SECONDS` (what is transferred), `poll SECONDS` (the same rows
// asked for each second, by a page that shows nothing), `axe`, `lighthouse`, `end`; each answers with lines of figures and `done`.

import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";
import { ARGUMENTS } from "./common.mjs";

const { PAGE, SIGN_IN, CHROMIUM = "/usr/bin/chromium", LIGHTHOUSE = "" } = process.env;
const ASSETS = fileURLToPath(new URL("../../aggregator/web/dist/assets/", import.meta.url));
/** A sample of CPU and memory each so many milliseconds. */
const EVERY = 5000;
/** Clock ticks a second, on every Linux that this runs on. */
const TICKS = 100;

const say = (words) => console.log(words);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
const sort = (values) => [...values].sort((a, b) => a - b);

/** The browser with all its processes. */
function family(root) {
  const parents = new Map();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // It ended meanwhile.
    }
  }
  const all = new Set([root]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const [pid, parent] of parents) if (all.has(parent) && !all.has(pid)) grown = all.add(pid) && true;
  }
  return [...all];
}

/** CPU seconds so far, and MiB of memory with shared pages divided. */
function taken(root) {
  let ticks = 0;
  let kib = 0;
  for (const pid of family(root)) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      ticks += Number(fields[11]) + Number(fields[12]);
      kib += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
    } catch {
      // It ended meanwhile.
    }
  }
  return { cpu: ticks / TICKS, mib: kib / 1024 };
}

/** MiB an hour, by least squares. */
function slope(samples) {
  const mean = (of) => samples.reduce((sum, one) => sum + of(one), 0) / samples.length;
  const [t, m] = [mean((one) => one.hours), mean((one) => one.mib)];
  const spread = samples.reduce((sum, one) => sum + (one.hours - t) ** 2, 0);
  return spread === 0 ? 0 : samples.reduce((sum, one) => sum + (one.hours - t) * (one.mib - m), 0) / spread;
}

/** Frames and memory while the page is looked at and scrolled a little. */
async function watch(page, root, seconds) {
  await page.evaluate(() => {
    window.frames = [];
    window.counting = true;
    let second = Math.floor(performance.now() / 1000);
    let count = 0;
    const frame = () => {
      const now = Math.floor(performance.now() / 1000);
      // A second without any frame is a second of none.
      while (second < now) {
        window.frames.push(count);
        [second, count] = [second + 1, 0];
      }
      count += 1;
      if (window.counting) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  const began = performance.now();
  const samples = [];
  let before = { ...taken(root), now: began };
  const cpu = [];
  while (performance.now() - began < seconds * 1000) {
    await sleep(EVERY);
    const now = { ...taken(root), now: performance.now() };
    cpu.push(((now.cpu - before.cpu) / ((now.now - before.now) / 1000)) * 100);
    samples.push({ hours: (now.now - began) / 3_600_000, mib: now.mib });
    before = now;
    await page.mouse.wheel(0, samples.length % 8 < 4 ? 900 : -900);
  }
  const frames = sort((await page.evaluate(() => ((window.counting = false), window.frames))).slice(1));
  // Caches fill first: what grows is told of the second half.
  const late = samples.slice(Math.floor(samples.length / 2));
  const heap = await page.evaluate(() => (performance.memory?.usedJSHeapSize ?? 0) / 2 ** 20);
  say(`frames a second: p50 ${at(frames, 0.5)}, worst second ${frames[0] ?? 0} (${frames.length} seconds; the screen's own rate is 60)`);
  say(`CPU of the browser: mean ${(cpu.reduce((sum, one) => sum + one, 0) / cpu.length).toFixed(0)} % of a core, worst ${EVERY / 1000} s ${Math.max(...cpu).toFixed(0)} %`);
  say(`memory of the browser: ${samples[0].mib.toFixed(0)} MiB at first, ${samples.at(-1).mib.toFixed(0)} at last, in the second half ${slope(late) >= 0 ? "+" : ""}${slope(late).toFixed(0)} MiB an hour; script heap ${heap.toFixed(0)} MiB`);
}

/** Bytes of bodies that came in by the open streams and calls. */
async function bytes(context, page, seconds) {
  const devtools = await context.newCDPSession(page);
  let sum = 0;
  devtools.on("Network.dataReceived", ({ dataLength }) => (sum += dataLength));
  await devtools.send("Network.enable");
  await sleep(seconds * 1000);
  await devtools.detach();
  say(`transferred by streams: ${((sum / seconds) * 60 / 2 ** 20).toFixed(1)} MiB a minute`);
}

/** The same rows by unary calls each second, as a board that polls. */
async function poll(context, seconds) {
  const page = await context.newPage();
  await page.goto(`${PAGE}/favicon.svg`);
  const { times, sum, rows, late } = await page.evaluate(async (limit) => {
    const read = (bytes) => {
      // The one field that is wanted: next_page_token, field 2; twins are field 1.
      let [at, rows, token] = [0, 0, ""];
      const varint = () => {
        let [value, shift] = [0, 0];
        for (;;) {
          const byte = bytes[at++];
          value += (byte & 127) * 2 ** shift;
          if (byte < 128) return value;
          shift += 7;
        }
      };
      while (at < bytes.length) {
        const field = varint() >> 3;
        const length = varint();
        if (field === 1) rows += 1;
        if (field === 2) token = new TextDecoder().decode(bytes.subarray(at, at + length));
        at += length;
      }
      return { rows, token };
    };
    const [times, end] = [[], performance.now() + limit * 1000];
    let [sum, rows, late] = [0, 0, 0];
    while (performance.now() < end) {
      const began = performance.now();
      let token = "";
      rows = 0;
      do {
        const name = new TextEncoder().encode(token);
        const message = [0x08, 0xe8, 0x07, ...(token === "" ? [] : [0x12, name.length, ...name])];
        const answer = await fetch("/vitaltwin.v1.TwinService/List", { method: "POST", headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" }, body: new Uint8Array([0, 0, 0, 0, message.length, ...message]) });
        const body = new Uint8Array(await answer.arrayBuffer());
        sum += body.length;
        const length = new DataView(body.buffer).getUint32(1);
        const found = read(body.subarray(5, 5 + length));
        rows += found.rows;
        token = found.token;
      } while (token !== "");
      const took = performance.now() - began;
      times.push(took);
      if (took > 1000) late += 1;
      await new Promise((done) => setTimeout(done, Math.max(0, 1000 - took)));
    }
    return { times, sum, rows, late };
  }, seconds);
  await page.close();
  const sorted = sort(times);
  say(`the same ${rows} rows by calls each second: ${((sum / seconds) * 60 / 2 ** 20).toFixed(1)} MiB a minute, a round p50 ${at(sorted, 0.5).toFixed(0)} ms, p99 ${at(sorted, 0.99).toFixed(0)} ms, ${late} of ${times.length} rounds longer than their second; what changed waits half a second more on average`);
}

async function axe(page) {
  const { violations } = await new AxeBuilder({ page }).options({ rules: { "target-size": { enabled: true } } }).analyze();
  say(`axe violations on the worklist: ${violations.length}${violations.length === 0 ? "" : ` (${violations.map(({ id }) => id).join(", ")})`}`);
  const sizes = readdirSync(ASSETS).map((name) => [name, gzipSync(readFileSync(join(ASSETS, name)), { level: 9 }).length]);
  const sum = (end) => sizes.filter(([name]) => name.endsWith(end)).reduce((all, [, size]) => all + size, 0);
  say(`bundle, gzip: scripts ${(sum(".js") / 1024).toFixed(0)} KiB, styles ${(sum(".css") / 1024).toFixed(0)} KiB, all pages`);
}

/** What it says of the page to sign in at and of the worklist. */
async function lighthouse(context, port) {
  if (LIGHTHOUSE === "") {
    say("Lighthouse: skipped: LIGHTHOUSE names no folder with it");
    return;
  }
  const found = createRequire(join(resolve(LIGHTHOUSE), "any.js")).resolve("lighthouse");
  const { default: run } = await import(pathToFileURL(found).href);
  const cookie = (await context.cookies(PAGE)).map(({ name, value }) => `${name}=${value}`).join("; ");
  for (const [path, extraHeaders] of [["/sign-in", {}], ["/", { Cookie: cookie }]]) {
    const { lhr } = await run(`${PAGE}${path}`, { port, output: "json", logLevel: "silent", formFactor: "desktop", screenEmulation: { disabled: true }, throttlingMethod: "provided", extraHeaders });
    const scores = Object.values(lhr.categories).map(({ title, score }) => `${title} ${score === null ? "none" : Math.round(score * 100)}`);
    const refs = Object.values(lhr.categories).flatMap(({ auditRefs }) => auditRefs);
    const less = refs.filter(({ id, weight }) => weight > 0 && (lhr.audits[id].score ?? 1) < 1).map(({ id }) => id);
    say(`Lighthouse ${lhr.lighthouseVersion}, desktop, ${path}: ${scores.join(", ")}; less than whole: ${less.join(", ") || "nothing"}; ended at ${new URL(lhr.finalDisplayedUrl).pathname}`);
  }
}

/** A port that nobody listens on. */
function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

async function main() {
  const port = await freePort();
  // Lighthouse wants a port of its own; what goes over it is of this machine alone, for the time of a bench.
  const door = LIGHTHOUSE === "" ? [] : [`--remote-debugging-port=${port}`, "--ignore-certificate-errors"];
  const server = await chromium.launchServer({ executablePath: CHROMIUM, args: [...ARGUMENTS, "--enable-precise-memory-info", ...door] });
  const root = server.process().pid;
  const browser = await chromium.connect(server.wsEndpoint());
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 } });
  await context.addInitScript(() => {
    // Each burst as it begins; the page counts them in the document.
    window.bursts = [];
    new MutationObserver(() => window.bursts.push(performance.timeOrigin + performance.now())).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-bursts"] });
  });
  const page = await context.newPage();
  await page.goto(SIGN_IN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForFunction(() => [...document.querySelectorAll(".row:not(.stale)")].some((row) => /\d/.test(row.innerText)), undefined, { timeout: 120_000, polling: "raf" });
  say(`first ${Date.now()}`);
  // Browsers keep a page silent until somebody touched it.
  await page.keyboard.press("Shift");
  let told = 0;
  setInterval(() => {
    page.evaluate((from) => window.bursts.slice(from), told).then(
      (bursts) => {
        told += bursts.length;
        for (const burst of bursts) say(`burst ${burst.toFixed(1)}`);
      },
      () => {
        // The page is busy, or gone at the end.
      },
    );
  }, 500).unref();
  const doing = { watch: (n) => watch(page, root, n), bytes: (n) => bytes(context, page, n), poll: (n) => poll(context, n), axe: () => axe(page), lighthouse: () => lighthouse(context, port) };
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, number] = line.split(" ");
    if (what === "end") break;
    await doing[what](Number(number));
    say("done");
  }
  await browser.close();
  await server.close();
}

await main();
