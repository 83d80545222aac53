import assert from "node:assert/strict";
import { test } from "node:test";
import { LookIn } from "../src/lookin.ts";
import { reduce, START } from "../src/store.ts";

test("one line at a time, and a new one only for another page", () => {
  const lines: [string, AbortSignal][] = [];
  const lookIn = new LookIn((patient, signal) => lines.push([patient, signal]));
  const open = () => lines.map(([patient, signal]) => `${patient}${signal.aborted ? " over" : ""}`);
  lookIn.at(null);
  lookIn.at(null);
  assert.deepEqual(open(), [""]);
  lookIn.at("p-1");
  lookIn.at("p-1");
  lookIn.at("p-2");
  assert.deepEqual(open(), [" over", "p-1 over", "p-2"]);
  lookIn.leave();
  assert.deepEqual(open(), [" over", "p-1 over", "p-2 over"]);
  lookIn.at("p-2");
  assert.equal(lines.length, 4);
});

test("who looks is replaced as a whole, and nothing of it outlives the session", () => {
  const looks = (lookers: [string, string[]][]) => ({ type: "lookers", lookers: new Map(lookers) }) as const;
  const two = reduce(START, [looks([["p-1", ["Ann", "Ben"]]])]);
  assert.deepEqual(two.lookers.get("p-1"), ["Ann", "Ben"]);
  const other = reduce(two, [looks([["p-2", ["Ann"]]])]);
  assert.deepEqual([...other.lookers.keys()], ["p-2"]);
  assert.equal(reduce(other, [{ type: "signed-out" }]).lookers.size, 0);
});
