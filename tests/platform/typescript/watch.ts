/**
 * A telemedicine platform in TypeScript: hears every alert of its patients, each once, across restarts of either side.
 *
 *     npm ci && npm run build
 *     node out/watch.js HOST:PORT FOLDER CURSOR_FILE [SECONDS]
 *
 * FOLDER holds cert.pem, key.pem and ca.pem as `vitaltwin-aggregator platform add` made them. What was heard is printed as one
 * line of JSON; the cursor is written to CURSOR_FILE only after it, so a line may come twice after a crash, and never not at
 * all: tell them apart by `event`. Ends by itself after SECONDS, if given.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { type Alert, AlertService, AlertState, Priority } from "./gen/v1/alert_pb.js";

/** The centre says something each 15 s. Who hears nothing for so long has no line, whatever the connection says. */
const SILENCE_MS = 60_000;
/** Said only after what was told is dealt with. Who has begun to confirm is missed by the centre after two minutes without. */
const CONFIRM_MS = 30_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

const [address, folder, cursorFile, seconds] = process.argv.slice(2);
if (!address || !folder || !cursorFile) {
  console.error("usage: node out/watch.js HOST:PORT FOLDER CURSOR_FILE [SECONDS]");
  process.exit(2);
}
const pem = (name: string) => readFileSync(join(folder, name));
const alerts = createClient(
  AlertService,
  createGrpcTransport({
    baseUrl: `https://${address}`,
    nodeOptions: { ca: pem("ca.pem"), cert: pem("cert.pem"), key: pem("key.pem"), minVersion: "TLSv1.3" },
  }),
);

/** Whole or not at all: a torn cursor would be refused, and all alerts told again. */
function remember(cursor: Uint8Array): void {
  writeFileSync(`${cursorFile}.new`, cursor);
  renameSync(`${cursorFile}.new`, cursorFile!);
}

function remembered(): Uint8Array {
  try {
    return new Uint8Array(readFileSync(cursorFile!));
  } catch {
    return new Uint8Array();
  }
}

function tell(event: string, alert: Alert, whole: boolean): void {
  console.log(
    JSON.stringify({
      event,
      snapshot: whole,
      alert: alert.id,
      patient: alert.patient,
      condition: alert.condition,
      priority: Priority[alert.priority],
      state: AlertState[alert.state],
      summary: alert.summary,
      testData: alert.testData,
    }),
  );
}

/** One stream, until it ends. True if anything was heard on it. */
async function listen(over: AbortSignal): Promise<boolean> {
  let heard = false;
  let confirmed = 0;
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const signal = AbortSignal.any([over, silence.signal]);
    for await (const event of alerts.watch({ cursor: remembered() }, { signal })) {
      heard = true;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      if (event.kind.case === "snapshot" || event.kind.case === "change") {
        tell(event.eventId, event.kind.value, event.kind.case === "snapshot");
      }
      if (event.cursor.length > 0) remember(event.cursor);
      if (Date.now() - confirmed >= CONFIRM_MS) {
        confirmed = Date.now();
        await alerts.confirm({}, { signal });
      }
    }
  } catch (error) {
    if (over.aborted) return heard;
    const reason = ConnectError.from(error);
    if (reason.code === Code.Unauthenticated || reason.code === Code.PermissionDenied) {
      console.error(`the centre does not let this platform in: ${reason.message}\nask its operator (\`platform add\`, \`platform scope\`)`);
      process.exit(1);
    }
    console.error(silence.signal.aborted ? "nothing was heard for a minute" : `the stream ended: ${reason.message}`);
  } finally {
    clearTimeout(timer);
  }
  return heard;
}

const over = seconds ? AbortSignal.timeout(Number(seconds) * 1000) : new AbortController().signal;
for (let pause = FIRST_PAUSE_MS; !over.aborted; ) {
  pause = (await listen(over)) ? FIRST_PAUSE_MS : Math.min(2 * pause, LONGEST_PAUSE_MS);
  // Not all platforms at once when a centre comes back.
  if (!over.aborted) await sleep(pause * (0.5 + Math.random() / 2), undefined, { signal: over }).catch(() => undefined);
}
process.exit(0);
