import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, keepOpen, type Link, type Wiring } from "../src/stream.ts";

type Event = { cursor: string };
const bytes = (text: string) => new TextEncoder().encode(text);
const words = (cursor: Uint8Array) => new TextDecoder().decode(cursor);

/** Each script entry is one connection: events, then an end (null) or an error. */
function rig(scripts: { events: Event[]; error: Error | null }[], fatal = (_: unknown) => false) {
  const stop = new AbortController();
  const asked: string[] = [];
  const seen: string[] = [];
  const links: Link[] = [];
  const waits: number[] = [];
  const wiring: Wiring<Event> = {
    async *open(cursor, _signal, opened) {
      asked.push(words(cursor));
      const script = scripts.shift();
      if (!script) {
        stop.abort();
        return;
      }
      opened();
      yield* script.events;
      if (script.error) throw script.error;
    },
    cursor: (event) => bytes(event.cursor),
    event: (event) => seen.push(event.cursor),
    link: (link) => links.push(link),
    fatal,
    now: () => 0,
    rest: () => Promise.resolve(),
    random: () => 0.5,
    wait: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
  };
  return { wiring, stop, asked, seen, links, waits };
}

test("resumes from the last cursor, also after an error", async () => {
  const { wiring, stop, asked, seen } = rig([
    { events: [{ cursor: "1" }, { cursor: "2" }], error: new Error("cut") },
    { events: [], error: null },
    { events: [{ cursor: "3" }, { cursor: "" }], error: null },
  ]);
  await keepOpen(wiring, stop.signal);
  assert.deepEqual(asked, ["", "2", "2", "3"]);
  assert.deepEqual(seen, ["1", "2", "3", ""]);
});

test("an event that could not be taken is asked for again", async () => {
  const { wiring, stop, asked } = rig([{ events: [{ cursor: "1" }, { cursor: "2" }], error: null }]);
  const taken = wiring.event;
  wiring.event = (event) => {
    if (event.cursor === "2") throw new Error("cannot");
    taken(event);
  };
  await keepOpen(wiring, stop.signal);
  assert.deepEqual(asked, ["", "1"]);
});

test("waits longer after each failure and starts over once it was live", async () => {
  const { wiring, stop, waits, links } = rig([
    { events: [], error: new Error("1") },
    { events: [], error: new Error("2") },
    { events: [], error: new Error("3") },
  ]);
  const open = wiring.open;
  let tries = 0;
  wiring.open = (cursor, signal, opened) => open(cursor, signal, () => (++tries === 3 ? opened() : undefined));
  await keepOpen(wiring, stop.signal);
  assert.deepEqual(waits, [backoff(1, 0.5), backoff(2, 0.5), backoff(1, 0.5)]);
  assert.ok(links.some((link) => link.phase === "live"));
});

test("a fatal error ends it", async () => {
  const { wiring, stop, asked, links } = rig([{ events: [], error: new Error("signed out") }], () => true);
  await keepOpen(wiring, stop.signal);
  assert.equal(asked.length, 1);
  assert.equal(links[links.length - 1]?.phase, "ended");
});

test("a line that says nothing for forty seconds is cut, and not before", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { wiring, stop, waits } = rig([]);
  let clock = 0;
  let cut = false;
  let say: (event: IteratorResult<Event>) => void = () => {};
  wiring.now = () => clock;
  wiring.open = (_cursor, signal, opened) => {
    opened();
    return {
      [Symbol.asyncIterator]: () => ({
        next: () =>
          new Promise((resolve, reject) => {
            say = resolve;
            signal.addEventListener("abort", () => {
              cut = true;
              reject(new Error("aborted"));
            });
          }),
      }),
    };
  };
  wiring.wait = (ms) => {
    waits.push(ms);
    stop.abort();
    return Promise.resolve();
  };
  const pass = (ms: number) => {
    clock += ms;
    context.mock.timers.tick(ms);
  };
  const running = keepOpen(wiring, stop.signal);
  await Promise.resolve();
  pass(30_000);
  say({ done: false, value: { cursor: "1" } });
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  pass(11_000);
  assert.equal(cut, false, "it spoke eleven seconds ago");
  pass(28_000);
  assert.equal(cut, false);
  pass(2000);
  await running;
  assert.equal(cut, true);
  assert.equal(waits.length, 1);
});

test("backoff doubles up to a limit, half of it jitter", () => {
  assert.equal(backoff(1, 0), 250);
  assert.equal(backoff(1, 1), 500);
  assert.equal(backoff(4, 1), 4000);
  assert.equal(backoff(40, 1), 15_000);
});

test("thousands of events at once leave turns to everything else, and what is slow alone does not rest twice", async () => {
  const events = Array.from({ length: 100 }, (_, i) => ({ cursor: String(i) }));
  const { wiring, stop, seen } = rig([{ events, error: null }]);
  let clock = 0;
  const rested: number[] = [];
  const taken = wiring.event;
  wiring.event = (event) => {
    clock += 1;
    taken(event);
  };
  wiring.now = () => clock;
  wiring.rest = () => {
    rested.push(seen.length);
    return Promise.resolve();
  };
  await keepOpen(wiring, stop.signal);
  assert.equal(seen.length, 100);
  assert.deepEqual(rested.slice(0, 3), [9, 18, 27]);
  assert.equal(rested.length, 11);
});
