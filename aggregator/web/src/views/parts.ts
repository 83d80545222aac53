// Small pieces that several views show.

import { h, set, show, spoken, text, toggle } from "../dom.ts";
import type { Access, Alert, Coverage, Duty, Fleet, GatewayPast, HistorySlice, Kind, OwnRecord, PatientFact, RuleBook, RuleSet, Trial, WaveBlock, Scoreboard } from "../model.ts";
import type { TeamFilters } from "../filter.ts";
import type { Shifts } from "../shifts.ts";
import type { State } from "../store.ts";
import type { Trends } from "../trends.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import type { Acts } from "./acts.ts";
import type { Ask } from "./ask.ts";

/** Who else has this patient's page open just now; hidden while nobody has. */
export class Lookers {
  readonly root = h("span", { class: "lookers", hidden: true });
  readonly #names = h("span");

  /** `said`: a screen reader is told when somebody comes or goes. */
  constructor(said: boolean) {
    if (said) set(this.root, "role", "status");
    this.root.append(this.#names);
  }

  update(state: State, patient: string): void {
    const names = state.lookers.get(patient) ?? [];
    text(this.#names, names.length === 0 ? "" : texts.together.lookers.also(names.join(", ")));
    show(this.root, names.length > 0);
  }
}

/** What a view may see and do. */
export interface App {
  readonly state: State;
  readonly trends: Trends;
  /** For a view of its own: another resolution, or another moment's knowledge. */
  newTrends(): Trends;
  readonly acts: Acts;
  readonly ask: Ask;
  /** The centre's time. */
  now(): number;
  /** True while the line to the centre is down: every value is old then. */
  lineDown(): boolean;
  // Acts resolve once they are durable, and reject with an error whose message is for people.
  acknowledge(alert: string, note: string): Promise<void>;
  comment(alert: string, words: string): Promise<void>;
  escalate(alert: string, duty: Duty, words: string): Promise<void>;
  setOwner(alert: string, owner: string): Promise<void>;
  snooze(alert: Alert, seconds: number, reason: string): Promise<void>;
  endSnooze(alert: Alert): Promise<void>;
  /** To a screen reader, without interrupting. */
  say(words: string): void;
  /** Resolved alerts of a patient (empty: of all), into the state. */
  loadPastAlerts(patients: string[]): Promise<void>;
  /** The newest of a patient, resolved ones too. */
  alertsOf(patient: string): Promise<Alert[]>;
  /** What each moment of [from, to) was, of each kind. */
  coverage(query: { patient: string; kinds: readonly Kind[]; from: number; to: number }, signal: AbortSignal): Promise<Coverage[]>;
  /** How good the models are, for a patient; null: for all. */
  scoreboard(patient: string | null): Promise<Scoreboard>;
  facts(patient: string): Promise<PatientFact[]>;
  recordFact(patient: string, fact: NewFact): Promise<PatientFact[]>;
  retractFact(patient: string, id: string): Promise<PatientFact[]>;
  /** At a patient's own page: who they are, and with whom it is shared. */
  own(): Promise<OwnRecord>;
  accesses(patient: string): Promise<Access[]>;
  /** Before a patient is put on paper; what fails is not printed. */
  notePrint(patient: string): Promise<void>;
  setPlatform(patient: string, platform: string, shared: boolean): Promise<void>;
  setSharing(patient: string, sharing: OwnRecord["sharing"], erase: boolean): Promise<void>;
  readings(patient: string): AsyncIterable<HistorySlice>;
  /** Who is on duty. */
  readonly shifts: Shifts;
  /** Filters that teams keep at the centre. */
  readonly teamFilters: { read(): Promise<TeamFilters>; keep(team: string, name: string, facets: string[]): Promise<TeamFilters> };
  /** The rules for everybody. */
  readonly rules: Rules;
  readonly fleet: FleetActs;
  waveforms(patient: string, from: number, to: number, signal: AbortSignal): Promise<WaveBlock[]>;
}

export interface Rules {
  read(): Promise<RuleBook>;
  check(document: string): Promise<{ hash: string; inForce: boolean }>;
  shadow(document: string): Promise<Trial>;
  activate(document: string, reason: string): Promise<RuleSet>;
  back(reason: string): Promise<RuleSet>;
}

export interface FleetActs {
  read(): Promise<Fleet>;
  past(gateway: string): Promise<GatewayPast | null>;
  enrol(label: string, seconds: number): Promise<{ token: string; gateway: string; ends: number }>;
  people(): Promise<{ patient: string; name: string }[]>;
  assign(patient: string, gateway: string, devices: readonly string[]): Promise<void>;
  configure(gateway: string, settings: string): Promise<number>;
  revoke(gateway: string): Promise<void>;
  /** A one-time link to a patient's own page. */
  pageLink(patient: string): Promise<string>;
}

export type NewFact = Omit<PatientFact, "recorded" | "recordedBy">;

export interface View {
  readonly root: HTMLElement;
  readonly title: string;
  /** Called after each change of state and once a second. */
  update(): void;
  /** Called when the colours changed. */
  repaint?(): void;
  destroy?(): void;
}

/** Priority as colour, symbol and words; a frame instead of a filled box for technical alerts. */
export class Badge {
  readonly root = h("span", { class: "badge" });
  readonly #symbol = h("span", { "aria-hidden": "true" });
  readonly #words = spoken("");

  constructor() {
    this.root.append(this.#symbol, this.#words);
  }

  update(alert: Alert): void {
    const name = `badge ${alert.priority} ${alert.category} ${alert.state}`;
    set(this.root, "class", name);
    text(this.#symbol, texts.symbol(alert.priority));
    text(this.#words, texts.badge(alert.priority, alert.category, alert.state));
  }
}

/** A moment as a `<time>` with the full time in its title. */
export class Moment {
  readonly root = h("time");

  update(ms: number, words: string): void {
    set(this.root, "datetime", time.iso(ms));
    set(this.root, "title", time.full(ms));
    text(this.root, words);
  }
}

/** A name and a value, for a definition list. */
export class Fact {
  readonly root: HTMLElement;
  readonly value = h("dd");

  constructor(name: string) {
    this.root = h("div", { class: "fact" }, h("dt", {}, name), this.value);
  }

  update(words: string, mark = ""): void {
    text(this.value, words);
    set(this.value, "class", mark === "" ? null : mark);
    show(this.root, words !== "");
  }
}

export function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function patientLink(patient: string): string {
  return `#/patient/${encodeURIComponent(patient)}`;
}

/** What a person calls the span until a foreseen moment. */
export function within(ms: number): string {
  return ms <= 0 ? texts.worklist.crossingNow : texts.worklist.within(time.span(ms));
}

/** A share as a bar; the number stands beside it as text. */
export class Bar {
  readonly root = h("span", { class: "bar", "aria-hidden": "true" });
  readonly #fill = h("span", { class: "bar-fill" });

  constructor() {
    this.root.append(this.#fill);
  }

  update(share: number): void {
    const width = `${(Math.min(1, Math.max(0, share)) * 100).toFixed(1)}%`;
    if (this.#fill.style.width !== width) this.#fill.style.width = width;
  }
}

/** Where a value lies against its personal band: the band in the middle half of the track. */
export class BandGauge {
  readonly root = h("span", { class: "gauge", "aria-hidden": "true" });
  readonly #dot = h("span", { class: "gauge-dot" });

  constructor() {
    this.root.append(h("span", { class: "gauge-band" }), this.#dot);
  }

  update(value: number | null, band: { low: number; high: number } | null): void {
    // The place is kept when there is no band, so that tiles do not jump.
    toggle(this.root, "empty", value === null || band === null);
    if (value === null || band === null) return;
    const width = Math.max(1e-9, band.high - band.low);
    const place = 0.25 + ((value - band.low) / width) * 0.5;
    const left = `${(Math.min(0.98, Math.max(0.02, place)) * 100).toFixed(1)}%`;
    if (this.#dot.style.left !== left) this.#dot.style.left = left;
    toggle(this.#dot, "out", value < band.low || value > band.high);
  }
}
