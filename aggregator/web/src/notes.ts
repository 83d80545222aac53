// Notes at the trends: facts of a patient that stand at a moment or a stretch of time. Pure.

import type { Kind, PatientFact } from "./model.ts";

/** Wire number of `vitaltwin.v1.FactKind`. */
export const NOTE = 16;

export interface Note {
  readonly id: string;
  /** As it is drawn and listed: from 1, in order of time. */
  readonly number: number;
  readonly from: number;
  /** Null: it is about a moment. */
  readonly to: number | null;
  /** Null: about all of the trends. */
  readonly kind: Kind | null;
  readonly text: string;
  readonly by: string;
  readonly recorded: number;
}

/** The notes among facts, in order of time; `known`: as they were known then, null: now. */
export function notesOf(facts: readonly PatientFact[], known: number | null): Note[] {
  return facts
    .filter((fact) => fact.kind === NOTE && (known === null || fact.recorded <= known))
    .sort((a, b) => a.from - b.from || a.recorded - b.recorded || (a.id < b.id ? -1 : 1))
    .map(({ id, from, to, value, text, recordedBy, recorded }, place) => ({ id, number: place + 1, from, to, kind: value, text, by: recordedBy, recorded }));
}

/** Those that reach into [from, to]; of a kind: about it or about all. */
export function within(notes: readonly Note[], from: number, to: number, kind: Kind | null = null): Note[] {
  return notes.filter((note) => note.from <= to && (note.to ?? note.from) >= from && (kind === null || note.kind === null || note.kind === kind));
}
