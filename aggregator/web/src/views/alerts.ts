// Alerts with their evidence, and the one act that people do about them here: acknowledge. The card is shared
// by the patient's page and the page of all alerts; physiological and technical ones are kept apart.

import { bulkable } from "../care.ts";
import { fill, h, reconcile, set, show, spoken, text } from "../dom.ts";
import { RR_INTERVAL } from "../kinds.ts";
import type { Alert, Category, Evidence } from "../model.ts";
import { byUrgency, displayName, mayAct, openAlerts } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { shown, shownAs, withUnit } from "../units.ts";
import { askCard } from "./card.ts";
import { Badge, Bar, capital, Fact, Moment, patientLink, within, type App, type View } from "./parts.ts";

const words = texts.alerts;
const { together } = texts;

export class AlertCard {
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #badge = new Badge();
  readonly #patient = h("a");
  readonly #tags = h("p", { class: "tags" });
  readonly #summary = h("p", { lang: "en" });
  readonly #heading: HTMLElement;
  readonly #plain = h("p", { class: "plain-words", lang: "en" });
  readonly #times = h("p", { class: "alert-times" });
  readonly #raised = new Moment();
  readonly #onset = new Moment();
  readonly #expected = h("p", { class: "expected" });
  readonly #calls = h("p", { class: "alert-calls" });
  readonly #comments = h("ul", { class: "comments" });
  readonly #evidence = h("ul", { class: "evidence" });
  readonly #evidenceViews = new Map<string, EvidenceView>();
  readonly #why: HTMLElement;
  readonly #whatIf = h("p", { class: "plain-words", hidden: true });
  readonly #card = h("button", { class: "button quiet small", type: "button" });
  #alert: Alert;
  readonly #model = new Fact(words.model);
  readonly #hash = new Fact(words.hash);
  readonly #subject = new Fact(words.subject);
  readonly #act: Care;
  readonly #withdrawn = h("p", { class: "withdrawn", hidden: true });
  readonly #pick: Pick | null;

  /** `withPatient`: the card names the patient and links to them. `pick`: several can be chosen. */
  constructor(app: App, alert: Alert, withPatient: boolean, pick: Picked | null) {
    this.#app = app;
    this.#alert = alert;
    this.#card.addEventListener("click", () => void askCard(app.ask, this.#alert.model, this.#alert.modelHash));
    this.#heading = h("h3", { class: "alert-summary", tabindex: "-1", "data-stop": true });
    this.#act = new Care(app, alert);
    this.#pick = pick && new Pick(pick, alert);
    this.#why = h(
      "div",
      { class: "why" },
      h("h4", { class: "small-head" }, words.evidence, " ", h("span", { class: "hint" }, words.evidenceHint)),
      this.#evidence,
    );
    this.#times.append(this.#raised.root, this.#onset.root);
    this.root = h(
      "li",
      { class: "alert-card", "data-alert": alert.id },
      h(
        "div",
        { class: "alert-top" },
        this.#badge.root,
        h(
          "div",
          { class: "alert-words" },
          withPatient && h("p", { class: "alert-patient" }, this.#patient),
          this.#heading,
          this.#tags,
        ),
        this.#pick?.root ?? null,
      ),
      this.#withdrawn,
      this.#expected,
      this.#summary,
      this.#plain,
      this.#times,
      this.#calls,
      // Before the reasons, however long they are: the button on the screen is that of the words on the screen.
      this.#act.root,
      this.#comments,
      this.#why,
      this.#whatIf,
      this.#card,
      h(
        "details",
        { class: "more" },
        h("summary", {}, words.details, spoken(`: ${texts.condition(alert.condition)}`)),
        h("dl", { class: "facts" }, this.#subject.root, this.#model.root, this.#hash.root),
      ),
    );
  }

  /** `open`: it can be acted upon; not when the page shows what was known once. */
  update(alert: Alert, open: boolean): void {
    const now = this.#app.now();
    set(this.root, "class", `alert-card ${alert.priority} ${alert.category} ${alert.state}`);
    this.#badge.update(alert);
    set(this.#patient, "href", patientLink(alert.patient));
    text(this.#patient, displayName(this.#app.state, alert.patient));
    text(this.#heading, texts.condition(alert.condition));
    text(this.#summary, alert.summary);
    text(this.#plain, alert.plainSummary);
    show(this.#plain, alert.plainSummary !== "" && alert.plainSummary !== alert.summary);
    const tags = [texts.priority(alert.priority), texts.categoryTag(alert.category), words.stateTag(alert.state)];
    if (alert.expected !== null) tags.push(words.predictiveTag);
    if (alert.retrospective) tags.push(words.retrospectiveTag);
    text(this.#tags, tags.join(" · "));
    this.#updateTimes(alert, now);
    this.#updateCare(alert);
    this.#updateEvidence(alert);
    this.#updateWhatIf(alert);
    this.#subject.update(alert.subject);
    this.#model.update(alert.model);
    this.#hash.update(alert.modelHash, "mono");
    this.#act.update(alert, open);
    this.#pick?.update(alert);
    show(this.#withdrawn, alert.withdrawn !== null);
    if (alert.withdrawn) text(this.#withdrawn, words.withdrawn(time.clock(alert.withdrawn.at), alert.withdrawn.by, alert.withdrawn.reason));
  }

  #updateTimes(alert: Alert, now: number): void {
    if (alert.state === "resolved" && alert.resolved !== null) {
      this.#raised.update(alert.resolved, `${words.resolvedAt} ${time.clockSeconds(alert.resolved)}`);
    } else {
      const waits = alert.state === "active" ? words.waiting(time.span(now - alert.raised)) : words.ago(time.span(now - alert.raised));
      this.#raised.update(alert.raised, `${words.raised} ${time.clockSeconds(alert.raised)}, ${waits}`);
    }
    show(this.#onset.root, alert.onset !== null);
    if (alert.onset !== null) this.#onset.update(alert.onset, `${words.onset} ${time.clockSeconds(alert.onset)}`);
    show(this.#expected, alert.expected !== null && alert.state !== "resolved");
    if (alert.expected !== null) {
      const at = time.clock(alert.expected);
      const when = alert.expected > now ? words.expected(at, within(alert.expected - now)) : words.expectedPast(at);
      const how = alert.probability === null ? "" : `, ${words.probability(time.percent(alert.probability))}`;
      text(this.#expected, `${words.predictive}: ${when}${how}`);
    }
  }

  #updateCare(alert: Alert): void {
    const said = care(alert);
    show(this.#calls, said !== "");
    text(this.#calls, said);
    set(this.#calls, "class", alert.unanswered !== null && alert.state === "active" ? "alert-calls unanswered" : "alert-calls");
    show(this.#comments, alert.comments.length > 0);
    fill(this.#comments, ...alert.comments.map(({ at, by, text }) => h("li", {}, words.comment(time.clock(at), by, text))));
  }

  #updateWhatIf(alert: Alert): void {
    const before = this.#alert.model;
    this.#alert = alert;
    const changes = alert.evidence.flatMap((one) => (one.avoidedAt === null ? [] : [`${named(one)} ${evidenceAmount(one, one.avoidedAt)}`]));
    show(this.#whatIf, changes.length > 0);
    text(this.#whatIf, together.whatIf.plain(changes.join(together.whatIf.or)));
    show(this.#card, alert.model !== "");
    if (before !== alert.model || this.#card.childElementCount === 0) fill(this.#card, together.card.open(alert.model), spoken(`: ${texts.condition(alert.condition)}`));
  }

  #updateEvidence(alert: Alert): void {
    // A single ground without a figure says what the summary says.
    show(this.#why, alert.evidence.length > 1 || alert.evidence.some(({ value }) => value !== null));
    const evidence = alert.evidence.map((item, i) => ({ item, id: String(i) }));
    reconcile(
      this.#evidence,
      this.#evidenceViews,
      evidence,
      ({ id }) => id,
      () => new EvidenceView(),
      (view, { item }) => view.update(item),
    );
  }
}

/** What a piece of evidence is about, for anybody. */
const named = ({ kind, label }: Evidence) => (kind === 0 || kind === RR_INTERVAL ? capital(label) : texts.kind(kind));

/** Who was called, who answers for it, and whether it is silenced. */
function care(alert: Alert): string {
  const parts: string[] = [];
  if (alert.owner !== "") parts.push(words.owner(alert.owner));
  if (alert.state === "resolved") return parts.join(" · ");
  if (alert.snoozedUntil !== null) parts.push(words.snoozed(time.clock(alert.snoozedUntil)));
  if (alert.partOf !== "") parts.push(words.partOf);
  const called = alert.calls.map(({ at, duty, by }) => (by === "" ? words.call(duty, time.clock(at)) : words.callBy(duty, time.clock(at), by)));
  if (called.length > 0) parts.push(words.called(called.join(", ")));
  if (alert.unanswered !== null && alert.state === "active") parts.push(words.unanswered);
  else if (alert.nextCall !== null) parts.push(words.nextCall(time.clock(alert.nextCall)));
  return parts.join(" · ");
}

/** Evidence may carry derived numbers (an entropy, a slope) under a kind: the unit is said only for plain readings. */
function evidenceAmount(evidence: Evidence, value: number): string {
  const derived = evidence.kind === RR_INTERVAL || evidence.kind === 0 || Math.abs(value) < 5;
  if (derived) return time.number(value, value % 1 === 0 ? 0 : Math.abs(value) < 10 ? 2 : 1);
  const decimals = shownAs(evidence.kind).decimals;
  return withUnit(time.number(shown(evidence.kind, value), Math.max(decimals, value % 1 === 0 ? 0 : 1)), evidence.kind);
}

class EvidenceView {
  readonly root = h("li", { class: "evidence-item" });
  readonly #label = h("span", { class: "evidence-label", lang: "en" });
  readonly #value = h("span", { class: "evidence-value" });
  readonly #limit = h("span", { class: "evidence-limit" });
  readonly #avoided = h("span", { class: "evidence-limit", hidden: true });
  readonly #bar = new Bar();
  readonly #share = h("span", { class: "evidence-share" });

  constructor() {
    this.root.append(
      h("span", { class: "evidence-words" }, this.#label, " ", this.#value, " ", this.#limit, " ", this.#avoided),
      this.#bar.root,
      this.#share,
    );
  }

  update(evidence: Evidence): void {
    text(this.#label, evidence.label === "" ? texts.kind(evidence.kind) : capital(evidence.label));
    text(this.#value, evidence.value === null ? "" : evidenceAmount(evidence, evidence.value));
    const limit = evidence.limit === null ? "" : words.limit(evidenceAmount(evidence, evidence.limit));
    text(this.#avoided, evidence.avoidedAt === null ? "" : words.avoided(evidenceAmount(evidence, evidence.avoidedAt)));
    show(this.#avoided, evidence.avoidedAt !== null);
    text(this.#limit, [limit, ...texts.quality(evidence.quality)].filter((part) => part !== "").join(" · "));
    this.#bar.update(evidence.contribution);
    const since = evidence.effective > 0 ? time.full(evidence.effective) : "";
    text(this.#share, evidence.known ? words.known(since) : time.percent(evidence.contribution));
    set(this.#share, "title", evidence.known ? words.knownHint : words.share(time.percent(evidence.contribution)));
  }
}

/** What can be done about it, and what was done. */
class Care {
  readonly root = h("div", { class: "care" });
  readonly #app: App;
  readonly #buttons: Record<"acknowledge" | "escalate" | "take" | "assign" | "comment" | "silence" | "wake", HTMLButtonElement>;
  readonly #row: HTMLElement;
  readonly #done = h("p", { class: "acknowledged-by" });
  readonly #note = h("p", { class: "acknowledge-note" });
  #alert: Alert;

  constructor(app: App, alert: Alert) {
    this.#app = app;
    this.#alert = alert;
    const { acts } = app;
    const button = (label: string, act: () => void, name = "button") => {
      // Spoken with what it is about: a screen reader's list of buttons has many of the same name.
      const element = h("button", { class: name, type: "button", onclick: act }, label);
      element.append(spoken(`: ${texts.condition(alert.condition)}`));
      return element;
    };
    this.#buttons = {
      acknowledge: button(words.acknowledge, () => acts.acknowledge([this.#alert]), "button primary"),
      escalate: button(texts.acts.escalateShort, () => acts.escalate(this.#alert)),
      take: button(texts.acts.take, () => void acts.take(this.#alert)),
      assign: button(texts.acts.assignShort, () => acts.assign([this.#alert])),
      comment: button(texts.acts.commentShort, () => acts.comment(this.#alert)),
      silence: button(texts.acts.silenceShort, () => acts.silence(this.#alert)),
      wake: button(texts.acts.wake, () => void acts.wake(this.#alert)),
    };
    this.#row = h("div", { class: "buttons" }, ...Object.values(this.#buttons));
    this.root.append(this.#done, this.#note, this.#row);
  }

  update(alert: Alert, open: boolean): void {
    this.#alert = alert;
    show(this.#row, open && alert.state !== "resolved" && mayAct(this.#app.state));
    show(this.#buttons.acknowledge, alert.state === "active");
    show(this.#buttons.escalate, alert.nextDuty !== null);
    show(this.#buttons.take, alert.owner !== (this.#app.state.session?.person ?? ""));
    show(this.#buttons.silence, alert.snoozedUntil === null && alert.priority !== "high");
    show(this.#buttons.wake, alert.snoozedUntil !== null);
    const acknowledged = alert.acknowledged !== null;
    show(this.#done, acknowledged);
    if (alert.acknowledged !== null) text(this.#done, words.acknowledged(alert.acknowledgedBy, time.clockSeconds(alert.acknowledged)));
    show(this.#note, acknowledged && alert.acknowledgeNote !== "");
    text(this.#note, alert.acknowledgeNote);
  }
}

/** Alerts that somebody chose, to acknowledge them together. */
class Picked {
  readonly ids = new Set<string>();
  readonly changed: () => void;

  constructor(changed: () => void) {
    this.changed = changed;
  }
}

class Pick {
  readonly root: HTMLElement;
  readonly #box = h("input", { type: "checkbox" });
  readonly #picked: Picked;

  constructor(picked: Picked, alert: Alert) {
    this.#picked = picked;
    this.root = h("label", { class: "pick" }, this.#box, spoken(words.pick(texts.condition(alert.condition))));
    this.#box.addEventListener("change", () => {
      if (this.#box.checked) picked.ids.add(alert.id);
      else picked.ids.delete(alert.id);
      picked.changed();
    });
  }

  update(alert: Alert): void {
    const may = bulkable(alert);
    if (!may) this.#picked.ids.delete(alert.id);
    this.#box.checked = this.#picked.ids.has(alert.id);
    this.#box.disabled = !may;
    show(this.root, alert.state === "active");
    set(this.root, "title", may ? null : words.pickNever);
  }
}

/** A list of cards that follows the state. */
export class AlertList {
  readonly root = h("ul", { class: "alert-list" });
  readonly #views = new Map<string, AlertCard>();
  readonly #app: App;
  readonly #withPatient: boolean;
  readonly #pick: Picked | null;

  constructor(app: App, withPatient: boolean, pick: Picked | null = null) {
    this.#app = app;
    this.#withPatient = withPatient;
    this.#pick = pick;
  }

  update(alerts: readonly Alert[], open = true): void {
    reconcile(
      this.root,
      this.#views,
      alerts,
      (alert) => alert.id,
      (alert) => new AlertCard(this.#app, alert, this.#withPatient, this.#pick),
      (view, alert) => view.update(alert, open),
    );
    show(this.root, alerts.length > 0);
  }
}

const CATEGORIES: readonly Category[] = ["physiological", "technical"];

/** All alerts that this person may see. */
export class AlertsView implements View {
  readonly title = words.title;
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #sections: { category: Category; count: HTMLElement; none: HTMLElement; list: AlertList }[];
  readonly #resolvedBox = h("input", { type: "checkbox", id: "show-resolved" });
  readonly #resolved: AlertList;
  readonly #resolvedRoot: HTMLElement;
  readonly #picked = new Picked(() => this.update());
  readonly #bulk = h("button", { class: "button primary", type: "button" });
  readonly #bulkBar = h("div", { class: "bulk", hidden: true });
  readonly #failed = h("p", { class: "notice bad", role: "alert", hidden: true }, words.loadFailed);

  constructor(app: App) {
    this.#app = app;
    this.#sections = CATEGORIES.map((category) => ({
      category,
      count: h("span", { class: "group-count" }),
      none: h("p", { class: "muted" }, words.noneOfCategory(texts.category(category))),
      list: new AlertList(app, true, this.#picked),
    }));
    this.#bulk.addEventListener("click", () => app.acts.acknowledge(this.#chosen()));
    this.#bulkBar.append(this.#bulk, h("span", { class: "hint" }, words.pickNever));
    this.#resolved = new AlertList(app, true);
    this.#resolvedRoot = h("section", { class: "group", hidden: true }, h("h2", {}, words.resolved), this.#failed, this.#resolved.root);
    this.#resolvedBox.addEventListener("change", () => void this.#toggleResolved());
    this.root = h(
      "div",
      { class: "page" },
      h(
        "div",
        { class: "page-head" },
        h("h1", { tabindex: "-1" }, words.title),
        h("label", { class: "check", for: "show-resolved" }, this.#resolvedBox, words.showResolved),
      ),
      this.#bulkBar,
      ...this.#sections.map(({ category, count, none, list }) =>
        h(
          "section",
          { class: "group", "aria-labelledby": `alerts-${category}` },
          h("h2", { id: `alerts-${category}` }, texts.category(category), " ", count),
          none,
          list.root,
        ),
      ),
      this.#resolvedRoot,
    );
  }

  update(): void {
    const open = openAlerts(this.#app.state);
    for (const section of this.#sections) {
      const members = open.filter((alert) => alert.category === section.category);
      text(section.count, String(members.length));
      show(section.none, members.length === 0);
      section.list.update(members);
    }
    const chosen = this.#chosen();
    show(this.#bulkBar, chosen.length > 0 && mayAct(this.#app.state));
    text(this.#bulk, texts.acts.acknowledgeAll(chosen.length));
    const shown = this.#resolvedBox.checked;
    show(this.#resolvedRoot, shown);
    if (!shown) return;
    const resolved = [...this.#app.state.alerts.values()].filter((alert) => alert.state === "resolved");
    this.#resolved.update(resolved.sort((a, b) => (b.resolved ?? 0) - (a.resolved ?? 0) || byUrgency(a, b)));
  }

  #chosen(): Alert[] {
    return openAlerts(this.#app.state).filter((alert) => this.#picked.ids.has(alert.id) && bulkable(alert));
  }

  async #toggleResolved(): Promise<void> {
    this.update();
    if (!this.#resolvedBox.checked) return;
    try {
      await this.#app.loadPastAlerts([]);
      show(this.#failed, false);
    } catch {
      show(this.#failed, true);
    }
    this.update();
  }
}
