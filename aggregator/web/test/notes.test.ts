import assert from "node:assert/strict";
import { test } from "node:test";
import type { PatientFact } from "../src/model.ts";
import { NOTE, notesOf, within } from "../src/notes.ts";

const fact = (id: string, from: number, more: Partial<PatientFact> = {}): PatientFact => ({ id, kind: NOTE, code: "", label: "", value: null, unit: "", text: id, from, to: null, recordedBy: "Ann", recorded: from + 100, ...more });

test("notes are numbered in order of time, and none is there before it was written", () => {
  const facts = [fact("late", 500), fact("other", 1, { kind: 6 }), fact("early", 100, { recorded: 700 }), fact("mid", 300, { value: 5, to: 350 })];
  assert.deepEqual(notesOf(facts, null).map(({ id, number, kind }) => [id, number, kind]), [["early", 1, null], ["mid", 2, 5], ["late", 3, null]]);
  assert.deepEqual(notesOf(facts, 600).map(({ id, number }) => [id, number]), [["mid", 1], ["late", 2]]);
});

test("a trend has the notes of its time that are about it or about all", () => {
  const notes = notesOf([fact("before", 50), fact("into", 90, { to: 120 }), fact("pulse", 150, { value: 1 }), fact("oxygen", 160, { value: 5 }), fact("after", 300)], null);
  assert.deepEqual(within(notes, 100, 200).map(({ id }) => id), ["into", "pulse", "oxygen"]);
  assert.deepEqual(within(notes, 100, 200, 5).map(({ id }) => id), ["into", "oxygen"]);
});
