// What the next shift must know, on one page that can be printed: who leaves and who comes, what nobody answered, what waits, what
// is somebody's affair, which devices are silent, what is silenced until when and why, what patients said, and what ended.

import { handover } from "../care.ts";
import { fill, h, reconcile, set, show, text } from "../dom.ts";
import type { Alert } from "../model.ts";
import { awaiting } from "../shifts.ts";
import { displayName, openAlerts } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { DutyPanel } from "./duty.ts";
import { Badge, patientLink, type App, type View } from "./parts.ts";

const words = texts.handover;
/** How far a shift reaches back. */
const SHIFT = 12 * 3_600_000;
const PARTS = ["unanswered", "waiting", "taken", "silent", "over"] as const;
/** Patients whose words are asked for. */
const SAID_OF = 60;
/** Wire number of what a patient tells of themselves. */
const REPORTED = 6;
type Part = (typeof PARTS)[number];

export class HandoverView implements View {
  readonly title = words.title;
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #made = h("p", { class: "page-note" });
  readonly #give = h("button", { class: "button primary", type: "button" });
  readonly #parts: Record<Part, { root: HTMLElement; count: HTMLElement; list: HTMLElement; views: Map<string, Entry> }>;
  readonly #silenced = h("ul", { class: "handover-list" });
  readonly #silencedViews = new Map<string, { root: HTMLElement }>();
  readonly #silencedRoot: HTMLElement;
  readonly #duty = h("div", { class: "teams" });
  readonly #duties = new Map<string, DutyPanel>();
  readonly #due = h("div", { class: "notice bad due-notice", role: "status", hidden: true });
  readonly #said = h("ul", { class: "handover-list" });
  readonly #saidRoot: HTMLElement;
  #asked = false;
  readonly #nothing = h("p", { class: "muted" }, words.nothing);

  constructor(app: App) {
    this.#app = app;
    const part = (name: Part) => {
      const count = h("span", { class: "group-count" });
      const list = h("ul", { class: "handover-list" });
      const root = h("section", { class: "group", "aria-labelledby": `handover-${name}` }, h("h2", { id: `handover-${name}` }, words.parts[name], " ", count), list);
      return { root, count, list, views: new Map<string, Entry>() };
    };
    this.#parts = { unanswered: part("unanswered"), waiting: part("waiting"), taken: part("taken"), silent: part("silent"), over: part("over") };
    this.#silencedRoot = h("section", { class: "group", "aria-labelledby": "handover-silenced" }, h("h2", { id: "handover-silenced" }, words.parts.silenced), this.#silenced);
    this.#saidRoot = h("section", { class: "group", "aria-labelledby": "handover-said", hidden: true }, h("h2", { id: "handover-said" }, words.parts.said), this.#said);
    this.#give.addEventListener("click", () => app.acts.assign(this.#mine()));
    const print = h("button", { class: "button", type: "button", onclick: () => window.print() }, words.print);
    this.root = h(
      "div",
      { class: "page handover" },
      h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, words.title), this.#made, h("span", { class: "spacer" }), this.#give, print),
      this.#due,
      this.#duty,
      this.#nothing,
      this.#parts.unanswered.root,
      this.#parts.waiting.root,
      this.#parts.taken.root,
      this.#parts.silent.root,
      this.#silencedRoot,
      this.#saidRoot,
      this.#parts.over.root,
    );
    app.loadPastAlerts([]).catch(() => {
      // What ended before this page was opened is then missing from its last part; the heading counts what there is.
    });
  }

  update(): void {
    const { state } = this.#app;
    const now = this.#app.now();
    const all = handover(state.alerts.values(), state.twins.values(), now, now - SHIFT);
    text(this.#made, words.made(time.full(now), state.session?.person ?? ""));
    this.#shifts();
    if (!this.#asked && state.twins.size > 0) {
      this.#asked = true;
      void this.#ask(now - SHIFT);
    }
    const mine = this.#mine();
    show(this.#give, mine.length > 0);
    text(this.#give, words.give(mine.length));
    for (const name of PARTS) {
      const { root, count, list, views } = this.#parts[name];
      show(root, all[name].length > 0);
      text(count, String(all[name].length));
      reconcile(
        list,
        views,
        all[name],
        (alert) => alert.id,
        (alert) => new Entry(this.#app, alert),
        (view, alert) => view.update(alert),
      );
    }
    show(this.#silencedRoot, all.silenced.length > 0);
    reconcile(
      this.#silenced,
      this.#silencedViews,
      all.silenced,
      ({ patient, snooze }) => `${patient} ${snooze.condition}`,
      () => ({ root: h("li", { class: "handover-entry plain" }) }),
      ({ root }, { patient, snooze }) => {
        const line = words.silenced(displayName(state, patient), texts.condition(snooze.condition), time.clock(snooze.until), snooze.by, snooze.reason);
        text(root, line);
      },
    );
    show(this.#nothing, openAlerts(state).length === 0 && all.silenced.length === 0 && all.over.length === 0);
  }

  /** Who leaves and who comes, in the teams that have a roster. */
  #shifts(): void {
    const rosters = (this.#app.shifts.all ?? []).filter((roster) => roster.document !== "");
    reconcile(
      this.#duty,
      this.#duties,
      rosters,
      (roster) => roster.team,
      (roster) => new DutyPanel(this.#app, roster.team),
      (view, roster) => view.update(roster),
    );
    const due = awaiting(rosters, this.#app.state.session?.person ?? "");
    show(this.#due, due.length > 0);
    text(this.#due, due.map(({ team, turn }) => texts.roster.due(team, turn.duty, turn.leaving)).join(" "));
  }

  /** What patients told of themselves since then. */
  async #ask(since: number): Promise<void> {
    const { state } = this.#app;
    const patients = [...state.twins.keys()].sort();
    const said: { at: number; line: HTMLElement }[] = [];
    for (const patient of patients.slice(0, SAID_OF)) {
      const facts = await this.#app.facts(patient).catch(() => []);
      for (const { kind, recorded, label, text: told } of facts) {
        if (kind !== REPORTED || recorded < since) continue;
        const line = words.said(displayName(this.#app.state, patient), time.clock(recorded), [label, told].filter((part) => part !== "").join(": "));
        said.push({ at: recorded, line: h("li", { class: "handover-entry plain" }, line) });
      }
    }
    said.sort((a, b) => b.at - a.at);
    const rest = patients.length > SAID_OF ? [h("li", { class: "handover-entry plain muted" }, words.saidOf(SAID_OF))] : [];
    fill(this.#said, ...said.map(({ line }) => line), ...rest);
    show(this.#saidRoot, said.length + rest.length > 0);
  }

  #mine(): Alert[] {
    const me = this.#app.state.session?.person ?? "";
    return openAlerts(this.#app.state).filter((alert) => me !== "" && alert.owner === me);
  }
}

class Entry {
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #badge = new Badge();
  readonly #patient = h("a", { "data-stop": true });
  readonly #condition = h("strong");
  readonly #summary = h("span", { class: "sub", lang: "en" });
  readonly #facts = h("p", { class: "handover-facts" });
  readonly #comments = h("ul", { class: "comments" });
  readonly #buttons: HTMLElement;
  #alert: Alert;
  #said = -1;

  constructor(app: App, alert: Alert) {
    this.#app = app;
    this.#alert = alert;
    const about = `${texts.condition(alert.condition)}, ${displayName(app.state, alert.patient)}`;
    const button = (label: string, act: () => void) => h("button", { class: "button", type: "button", "aria-label": `${label}: ${about}`, onclick: act }, label);
    this.#buttons = h(
      "div",
      { class: "buttons" },
      button(texts.acts.assignShort, () => app.acts.assign([this.#alert])),
      button(texts.acts.commentShort, () => app.acts.comment(this.#alert)),
    );
    this.root = h(
      "li",
      { class: "handover-entry", "data-alert": alert.id },
      this.#badge.root,
      h("div", { class: "handover-words" }, h("p", {}, this.#patient, " ", this.#condition, " ", this.#summary), this.#facts, this.#comments),
      this.#buttons,
    );
  }

  update(alert: Alert): void {
    this.#alert = alert;
    this.#badge.update(alert);
    set(this.#patient, "href", patientLink(alert.patient));
    text(this.#patient, displayName(this.#app.state, alert.patient));
    text(this.#condition, texts.condition(alert.condition));
    text(this.#summary, alert.summary);
    const facts = [words.since(time.clock(alert.raised), time.span(this.#app.now() - alert.raised))];
    facts.push(alert.owner === "" ? words.noOwner : texts.alerts.owner(alert.owner));
    if (alert.acknowledged !== null) facts.push(texts.alerts.acknowledged(alert.acknowledgedBy, time.clock(alert.acknowledged)));
    if (alert.acknowledgeNote !== "") facts.push(`“${alert.acknowledgeNote}”`);
    if (alert.snoozedUntil !== null) facts.push(texts.alerts.snoozed(time.clock(alert.snoozedUntil)));
    if (alert.resolved !== null) facts.push(`${texts.alerts.resolvedAt} ${time.clock(alert.resolved)}`);
    text(this.#facts, facts.join(" · "));
    show(this.#buttons, alert.state !== "resolved");
    if (this.#said === alert.comments.length) return;
    this.#said = alert.comments.length;
    this.#comments.replaceChildren(...alert.comments.map(({ at, by, text: said }) => h("li", {}, texts.alerts.comment(time.clock(at), by, said))));
  }
}
