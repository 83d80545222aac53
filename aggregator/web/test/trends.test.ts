import assert from "node:assert/strict";
import { test } from "node:test";
import { channel, twin } from "./make.ts";
import { grain, SHORT_KEEP, Trends, type FetchPast } from "../src/trends.ts";

const nothing: FetchPast = () => Promise.resolve();
const query = { patient: "p", kinds: [1], from: 0, to: 1, most: 0 };

test("live values and history meet in one line per source; unusable ones are left out", async () => {
  const answers: (() => void)[] = [];
  const trends = new Trends(async (_, take) => {
    await new Promise<void>((resolve) => answers.push(resolve));
    take({ kind: 1, source: 1, times: [10, 20, 30], values: [60, 61, 250], quality: [0, 2, 4], low: [], high: [] });
  });
  trends.take(twin({ channels: [channel({ value: 1, effective: 1 })] }));
  assert.deepEqual(trends.lines("p", 1), [], "nobody asked for this patient yet");
  const load = trends.load(query, new AbortController().signal);
  await new Promise((resolve) => setImmediate(resolve));
  trends.take(twin({ channels: [channel({ value: 62, effective: 40 }), channel({ value: 55, effective: 40, source: 2 }), channel({ kind: 5, value: null })] }));
  trends.take(twin({ channels: [channel({ value: 99, effective: 50, quality: 1 })] }));
  answers[0]!();
  await load;
  assert.deepEqual(
    trends.lines("p", 1).map((line) => [line.source, line.series.times, line.series.values]),
    [
      [1, [10, 20, 40], [60, 61, 62]],
      [2, [40], [55]],
    ],
  );
  assert.deepEqual(trends.lines("p", 5), []);
});

test("what no open page needs is forgotten", async () => {
  const trends = new Trends(nothing);
  for (const patient of ["open", "other"]) await trends.load({ ...query, patient }, new AbortController().signal);
  for (const patient of ["open", "other"]) {
    for (const effective of [0, 2 * SHORT_KEEP]) trends.take(twin({ patient, channels: [channel({ effective })] }));
  }
  trends.trim(2 * SHORT_KEEP, "open");
  assert.equal(trends.lines("open", 1)[0]?.series.length, 2);
  assert.equal(trends.lines("other", 1)[0]?.series.length, 1);
  trends.forget("other");
  trends.take(twin({ patient: "other", channels: [channel({ effective: 1 })] }));
  assert.deepEqual(trends.lines("other", 1), []);
});

test("queries wait for their turn; one that is not needed any more is not sent", async () => {
  const running: (() => void)[] = [];
  const trends = new Trends(() => new Promise((resolve) => running.push(resolve)));
  const stop = new AbortController();
  const loads = [0, 1, 2].map(() => trends.load(query, new AbortController().signal));
  const dropped = trends.load(query, stop.signal);
  loads.push(trends.load(query, new AbortController().signal));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(running.length, 3);
  stop.abort();
  running[0]!();
  await assert.rejects(dropped);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(running.length, 4);
  for (const finish of running) finish();
  await Promise.all(loads);
});

test("stretches keep their extremes; long pasts are asked for in coarser grain", async () => {
  const trends = new Trends((_, take) => {
    take({ kind: 1, source: 1, times: [10, 20], values: [60, 61], quality: [0, 0], low: [50, 51], high: [70, 71] });
    return Promise.resolve();
  });
  await trends.load(query, new AbortController().signal);
  const [line] = trends.lines("p", 1);
  assert.deepEqual([line!.low.values, line!.high.values], [[50, 51], [70, 71]]);
  const day = 86_400_000;
  assert.deepEqual([day, 7 * day, 30 * day, 365 * day].map(grain), ["raw", "minute", "hour", "hour"]);
});

test("an answer for a patient who was forgotten meanwhile is dropped", async () => {
  const trends = new Trends((_, take) => {
    trends.forget("p");
    take({ kind: 1, source: 1, times: [10], values: [60], quality: [0], low: [], high: [] });
    return Promise.resolve();
  });
  await trends.load(query, new AbortController().signal);
  assert.deepEqual(trends.lines("p", 1), []);
});
