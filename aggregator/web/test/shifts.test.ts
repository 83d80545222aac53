import assert from "node:assert/strict";
import test from "node:test";
import type { Roster, Turn } from "../src/model.ts";
import { awaiting, Shifts } from "../src/shifts.ts";

const turn: Turn = { duty: "nurse", shift: "day", from: 0, until: 10, people: ["Ann"], able: ["Ann"], handover: true, leaving: ["Bob"], takenBy: "", taken: null };
const roster: Roster = { team: "A", document: "x", since: 0, by: "Sue", unread: "", now: [turn], next: [], gaps: [], remarks: [] };

test("a shift waits for those who come, until one of them took it over", () => {
  assert.deepEqual(awaiting([roster], "Ann"), [{ team: "A", turn }]);
  assert.deepEqual(awaiting([roster], "Bob"), []);
  for (const other of [{ ...turn, takenBy: "Ann" }, { ...turn, handover: false }]) assert.deepEqual(awaiting([{ ...roster, now: [other] }], "Ann"), []);
});

test("rosters are asked for once a minute, and an act changes the one that it is about", async () => {
  let asked = 0;
  const other = { ...roster, team: "B" };
  const shifts = new Shifts({
    read: () => Promise.resolve((asked += 1) === 0 ? [] : [roster, other]),
    check: () => Promise.resolve(roster),
    set: (team) => Promise.resolve({ ...roster, team, document: "y" }),
    takeOver: () => Promise.resolve({ ...roster, now: [{ ...turn, takenBy: "Ann" }] }),
  });
  for (const now of [0, 1, 59_999]) shifts.keep(now);
  assert.equal(asked, 1);
  shifts.keep(60_000);
  assert.equal(asked, 2);
  await shifts.load();
  await shifts.takeOver("A", turn);
  await shifts.set("B", "y");
  assert.deepEqual(shifts.all?.map(({ document, now }) => [document, now[0]?.takenBy]), [["x", "Ann"], ["y", ""]]);
});
