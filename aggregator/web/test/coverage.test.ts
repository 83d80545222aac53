import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as convert from "../src/convert.ts";
import { shares, within } from "../src/coverage.ts";
import { CoverageClass as Wire, CoverageResponseSchema } from "../src/gen/v1/history_pb.ts";
import { COVERAGE_CLASSES, type CoverageClass, type Stretch } from "../src/model.ts";
import { texts } from "../src/texts.ts";

const stretch = (from: number, to: number, what: CoverageClass): Stretch => ({ from, to, what, readings: 0 });

test("the page's classes are the contract's, in its order, and each has a name", () => {
  const names = Object.keys(Wire).filter((name) => Number.isNaN(Number(name)));
  assert.deepEqual(names.slice(1), COVERAGE_CLASSES.map((what) => what.toUpperCase().replaceAll("-", "_")));
  for (const what of COVERAGE_CLASSES) assert.ok(texts.coverage.names[what].length > 3);
});

test("an answer through its wire bytes keeps the line of all sources, its times and counts", () => {
  const wire = create(CoverageResponseSchema, {
    lines: [
      { kind: 1, stretches: [{ fromUs: 1_000n, toUs: 5_500n, class: Wire.DROPPED, readings: 7n }] },
      { kind: 1, source: 2, stretches: [{ fromUs: 1_000n, toUs: 5_500n, class: Wire.MEASURED }] },
    ],
  });
  const lines = convert.coverage(fromBinary(CoverageResponseSchema, toBinary(CoverageResponseSchema, wire)));
  assert.deepEqual(lines, [{ kind: 1, stretches: [{ from: 1, to: 5.5, what: "dropped", readings: 7 }] }]);
});

test("only what is shown counts, and time without a sensor does not", () => {
  const all = [stretch(0, 10, "unassigned"), stretch(10, 20, "measured"), stretch(20, 40, "not-worn")];
  assert.deepEqual(within(all, 5, 25), [stretch(10, 20, "measured"), stretch(20, 25, "not-worn")]);
  assert.deepEqual(within(all, 40, 50), []);
  assert.deepEqual(shares(within(all, 0, 5)), []);
});

test("shares are whole percents that make a hundred, measured first", () => {
  const thirds = [stretch(0, 1, "awaited"), stretch(1, 2, "not-worn"), stretch(2, 3, "measured")];
  const parts = shares(thirds);
  assert.equal(parts[0]?.what, "measured");
  assert.equal(parts.reduce((sum, part) => sum + part.percent, 0), 100);
  assert.deepEqual(parts.map((part) => part.percent).sort(), [33, 33, 34]);
  const little = shares([stretch(0, 1, "out-of-range"), stretch(1, 1000, "measured")]);
  assert.deepEqual(little.map((part) => [part.what, part.percent]), [["measured", 100], ["out-of-range", 0]]);
});
