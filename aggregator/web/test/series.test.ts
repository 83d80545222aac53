import assert from "node:assert/strict";
import { test } from "node:test";
import { Series } from "../src/series.ts";

const content = (series: Series) => series.times.map((time, i) => [time, series.values[i]]);

test("live readings and history in any order give one sorted series without doubles", () => {
  const series = new Series();
  series.add(50, 5);
  series.add(40, 4);
  assert.equal(series.add(50, 99), false);
  series.merge([10, 20, 40, 45], [1, 2, 99, 4.5]);
  series.merge([60, 60, 70], [6, 99, 7]);
  assert.deepEqual(content(series), [
    [10, 1],
    [20, 2],
    [40, 4],
    [45, 4.5],
    [50, 5],
    [60, 6],
    [70, 7],
  ]);
  series.trim(45);
  assert.equal(series.first, 45);
});

test("merge equals adding one by one, for many random orders", () => {
  let seed = 1;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let round = 0; round < 200; round += 1) {
    const merged = new Series();
    const added = new Series();
    for (let part = 0; part < 4; part += 1) {
      const times = Array.from({ length: Math.floor(random() * 8) }, () => Math.floor(random() * 30)).sort((a, b) => a - b);
      const values = times.map((time) => time * 2);
      merged.merge(times, values);
      times.forEach((time, i) => added.add(time, values[i]!));
    }
    assert.deepEqual(content(merged), content(added));
  }
});

test("a window breaks the line where nothing was measured", () => {
  const series = new Series();
  series.merge([0, 10, 20, 100, 110, 200], [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(series.window(10, 150, 50), { times: [10, 20, 21, 100, 110], values: [2, 3, null, 4, 5] });
});

test("the gap grows with the distance of readings", () => {
  const sparse = new Series();
  sparse.merge([0, 600, 1200, 1800], [1, 1, 1, 1]);
  assert.equal(sparse.gap(60), 4800);
  assert.equal(new Series().gap(60), 60);
});
