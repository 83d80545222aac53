// One patient: what is wrong and why, what is measured now, how it went and where it is heading, what the
// scores rest on, and whether the equipment can be trusted.

import { h, reconcile, set, show, text, toggle } from "../dom.ts";
import { asKnownAt } from "../care.ts";
import { NOT_TILES, TILE_ORDER } from "../kinds.ts";
import type { Alert, Channel, Twin } from "../model.ts";
import { allStale, byUrgency, displayName, isStale, lastData, openAlerts, resolvedAlerts, type State } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { ZONE } from "../prefs.ts";
import { mark, onPaper, unmark, type Sheet } from "../paper.ts";
import { amount, shownAs } from "../units.ts";
import { AlertList } from "./alerts.ts";
import { DevicesPanel, GatewaysPanel, RhythmPanel, ScorePanel } from "./panels.ts";
import { FactsPanel } from "./facts.ts";
import { ModelsPanel } from "./models.ts";
import { Badge, BandGauge, Lookers, type App, type View } from "./parts.ts";
import { ScoreboardSection } from "./scoreboard.ts";
import { TrendsSection } from "./trend.ts";
import { WavesSection } from "./waves.ts";

const words = texts.patient;

export class PatientView implements View {
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #patient: string;
  readonly #badge = new Badge();
  readonly #name = h("h1", { tabindex: "-1" });
  readonly #pseudonym = h("span", { class: "pseudonym" });
  readonly #newest = h("span", { class: "age" });
  readonly #others = h("a", { class: "others", href: "#/", hidden: true });
  readonly #status = h("p", { class: "loading" }, words.loading);
  readonly #content = h("div", { class: "patient-grid", hidden: true });
  readonly #alertsNone = h("p", { class: "muted" }, texts.alerts.none);
  readonly #alerts: AlertList;
  readonly #resolved: AlertList;
  readonly #resolvedRoot: HTMLDetailsElement;
  readonly #resolvedCount = h("span", { class: "group-count" });
  readonly #tiles = h("ul", { class: "tiles" });
  readonly #tileViews = new Map<string, Tile>();
  readonly #noTiles = h("p", { class: "muted" }, words.noValues);
  readonly #tallies = h("p", { class: "muted tallies", hidden: true });
  readonly #trends: TrendsSection;
  readonly #waves: WavesSection;
  readonly #facts: FactsPanel;
  readonly #models = new ModelsPanel();
  readonly #zone = h("span", { class: "zone", hidden: true });
  readonly #lookers = new Lookers(true);
  readonly #alertsTitle = h("span", {}, texts.alerts.open);
  readonly #score = new ScorePanel();
  readonly #rhythm = new RhythmPanel();
  readonly #devices: DevicesPanel;
  readonly #gateways: GatewaysPanel;
  readonly #onPaper = h("p", { class: "on-paper" });
  readonly #notPrinted = h("p", { class: "notice", role: "status", hidden: true });
  readonly #stop = new AbortController();
  #printing = false;

  constructor(app: App, patient: string) {
    this.#app = app;
    this.#patient = patient;
    this.#alerts = new AlertList(app, false);
    this.#resolved = new AlertList(app, false);
    this.#resolvedRoot = h("details", { class: "resolved-list", hidden: true }, h("summary", {}, texts.alerts.resolved, " ", this.#resolvedCount));
    this.#resolvedRoot.append(this.#resolved.root);
    this.#facts = new FactsPanel(app, patient, () => {
      if (ZONE.get() === "patient") time.useZone(this.#facts.zone);
      this.update();
    });
    this.#trends = new TrendsSection(app, patient, this.#facts, () => this.update());
    this.#waves = new WavesSection(app, patient);
    this.#devices = new DevicesPanel(app);
    this.#gateways = new GatewaysPanel(app);
    const print = h("button", { class: "button", type: "button", onclick: () => void this.#print() }, texts.paper.print);
    // Printed by the browser's own menu: nothing waits for it then, so it is written down meanwhile.
    const unasked = { signal: this.#stop.signal };
    window.addEventListener("beforeprint", () => this.#unasked(), unasked);
    window.addEventListener("afterprint", () => !this.#printing && unmark(), unasked);
    this.root = h(
      "div",
      { class: "page patient" },
      h("p", { class: "crumbs" }, h("a", { href: "#/" }, h("span", { "aria-hidden": "true" }, "← "), words.back), this.#others),
      h("div", { class: "page-head" }, this.#badge.root, this.#name, this.#pseudonym, this.#newest, this.#zone, this.#lookers.root, h("span", { class: "spacer" }), print),
      this.#notPrinted,
      this.#onPaper,
      this.#status,
      this.#content,
    );
    this.#content.append(
      section("now", words.now, this.#noTiles, this.#tiles, this.#tallies),
      h(
        "div",
        { class: "patient-main" },
        section("alerts", this.#alertsTitle, this.#alertsNone, this.#alerts.root, this.#resolvedRoot),
        this.#waves.root,
        this.#trends.root,
        new ScoreboardSection(app, patient).root,
      ),
      h("div", { class: "patient-side" }, this.#score.root, this.#facts.root, this.#models.root, this.#rhythm.root, this.#devices.root, this.#gateways.root),
    );
    app.loadPastAlerts([patient]).catch(() => {
      // What was resolved is a convenience here; the page of all alerts says when it cannot be loaded.
    });
  }

  get title(): string {
    return displayName(this.#app.state, this.#patient);
  }

  update(): void {
    const { state } = this.#app;
    text(this.#name, this.title);
    text(this.#pseudonym, this.title === this.#patient ? "" : this.#patient);
    this.#lookers.update(state, this.#patient);
    const twin = state.twins.get(this.#patient) ?? null;
    const open = openAlerts(state, this.#patient);
    const found = twin !== null || open.length > 0;
    show(this.#content, found);
    show(this.#status, !found);
    text(this.#status, state.complete.twins ? words.unknown : words.loading);
    this.#updateHead(twin);
    const top = open[0];
    toggle(this.#badge.root, "gone", top === undefined);
    if (top) this.#badge.update(top);
    const waiting = new Set(openAlerts(state).filter((alert) => alert.state === "active" && alert.patient !== this.#patient).map((alert) => alert.patient));
    show(this.#others, waiting.size > 0);
    text(this.#others, words.others(waiting.size));
    if (!found) return;
    const then = this.#trends.moment;
    const known = then === null ? open : openThen(state, this.#patient, then);
    text(this.#alertsTitle, then === null ? texts.alerts.open : texts.alerts.openThen(time.clock(then)));
    toggle(this.root, "looking-back", then !== null);
    show(this.#alertsNone, known.length === 0);
    this.#alerts.update(known, then === null);
    const resolved = resolvedAlerts(state, this.#patient);
    show(this.#resolvedRoot, resolved.length > 0);
    text(this.#resolvedCount, String(resolved.length));
    this.#resolved.update(resolved.slice(0, 50));
    this.#updateTiles(twin);
    const tallies = (twin?.tallies ?? []).map((tally) => words.tally(tally.name, time.number(tally.lastDay, 0), time.number(tally.lastHour, 0)));
    show(this.#tallies, tallies.length > 0);
    text(this.#tallies, tallies.join(" · "));
    this.#trends.update(twin, known);
    this.#waves.update();
    this.#facts.update(twin);
    this.#models.update(twin);
    this.#score.update(twin);
    this.#rhythm.update(twin);
    this.#devices.update(twin);
    this.#gateways.update(twin);
  }

  repaint(): void {
    this.#trends.repaint();
    this.#waves.repaint();
  }

  /** Written down first, then printed; what cannot be written down is not printed. */
  async #print(): Promise<void> {
    if (this.#printing) return;
    this.#printing = true;
    show(this.#notPrinted, false);
    try {
      await this.#app.notePrint(this.#patient);
      await onPaper(this.#sheet(), () => this.repaint());
    } catch (error) {
      text(this.#notPrinted, `${texts.paper.unsaid} ${error instanceof Error ? error.message : String(error)}`);
      show(this.#notPrinted, true);
    } finally {
      this.#printing = false;
    }
  }

  #unasked(): void {
    if (this.#printing) return;
    mark(this.#sheet());
    this.#app.notePrint(this.#patient).catch((error: unknown) => {
      this.#app.say(error instanceof Error ? error.message : String(error));
    });
  }

  #sheet(): Sheet {
    const { session } = this.#app.state;
    const now = this.#app.now();
    const then = this.#trends.moment;
    const about = texts.paper.about(time.full(now), this.#trends.range, time.zone());
    text(this.#onPaper, then === null ? about : `${about} ${texts.paper.then(time.full(then))}`);
    const title = this.title === this.#patient ? this.title : `${this.title} · ${this.#patient}`;
    const role = session?.role ? texts.home.looks.roles[session.role as keyof typeof texts.home.looks.roles] : "";
    const test = (this.#app.state.twins.get(this.#patient)?.testData ?? false) || (session?.testData ?? false);
    return { title, person: session?.person ?? "", role: role ?? "", now, test };
  }

  destroy(): void {
    this.#stop.abort();
    this.#trends.destroy();
    this.#waves.destroy();
    time.useZone(null);
    this.#app.trends.forget(this.#patient);
  }

  #updateHead(twin: Twin | null): void {
    const { zone } = this.#facts;
    const now = this.#app.now();
    show(this.#zone, zone !== null && now > 0);
    if (zone !== null && now > 0) text(this.#zone, words.zone(time.clockIn(now, zone), zone, zone === time.zone()));
    const last = lastData(twin);
    show(this.#newest, last !== null);
    if (last === null) return;
    text(this.#newest, words.newest(time.span(this.#app.now() - last)));
    toggle(this.#newest, "stale", allStale(twin, this.#app.now(), this.#app.lineDown()));
  }

  #updateTiles(twin: Twin | null): void {
    const channels = (twin?.channels ?? []).filter((channel) => !NOT_TILES.includes(channel.kind));
    const order = (channel: Channel) => {
      const at = TILE_ORDER.indexOf(channel.kind);
      return at < 0 ? TILE_ORDER.length + channel.kind : at;
    };
    channels.sort((a, b) => order(a) - order(b));
    show(this.#noTiles, channels.length === 0);
    show(this.#tiles, channels.length > 0);
    reconcile(
      this.#tiles,
      this.#tileViews,
      channels,
      (channel) => String(channel.kind),
      (channel) => new Tile(channel),
      (view, channel) => view.update(channel, this.#app.now(), this.#app.lineDown()),
    );
  }
}

/** What was open then, as it was known then. */
function openThen(state: State, patient: string, then: number): Alert[] {
  const known: Alert[] = [];
  for (const alert of state.alerts.values()) {
    const as = alert.patient === patient ? asKnownAt(alert, then) : null;
    if (as !== null && as.state !== "resolved") known.push(as);
  }
  return known.sort(byUrgency);
}

export function section(id: string, title: Node | string, ...children: Node[]): HTMLElement {
  return h("section", { class: `part part-${id}`, "aria-labelledby": `part-${id}` }, h("h2", { id: `part-${id}` }, title), ...children);
}

/** One live value with its age, quality and place against what is usual for this person. */
class Tile {
  readonly root: HTMLElement;
  readonly #value = h("span", { class: "tile-value" });
  readonly #unit = h("span", { class: "tile-unit" });
  readonly #usual = h("span", { class: "tile-usual" });
  readonly #note = h("span", { class: "tile-note" });
  readonly #age = h("span", { class: "tile-age" });
  readonly #gauge = new BandGauge();

  constructor(channel: Channel) {
    this.root = h(
      "li",
      { class: "tile" },
      h("span", { class: "tile-name" }, texts.kind(channel.kind)),
      h("span", { class: "tile-number" }, this.#value, this.#unit),
      this.#gauge.root,
      this.#usual,
      h("span", { class: "tile-foot" }, this.#age, this.#note),
    );
  }

  update(channel: Channel, now: number, lineDown: boolean): void {
    const stale = isStale(channel, now, lineDown);
    toggle(this.root, "stale", stale);
    text(this.#value, channel.value === null ? "–" : amount(channel.kind, channel.value));
    text(this.#unit, channel.value === null ? "" : shownAs(channel.kind).unit);
    const age = time.span(now - channel.effective);
    text(this.#age, stale ? words.stale(age) : words.age(age));
    set(this.#age, "title", time.full(channel.effective));
    const remarks = channel.value === null ? [texts.absence(channel.absence)] : [...texts.quality(channel.quality)];
    if (channel.disagreement) remarks.push(words.disagrees(amount(channel.kind, channel.disagreement.value)));
    text(this.#note, remarks.join(", "));
    toggle(this.#note, "remark", remarks.length > 0);
    const { band } = channel;
    text(this.#usual, band ? words.usual(amount(channel.kind, band.low), amount(channel.kind, band.high)) : words.learning);
    this.#gauge.update(channel.value, band);
  }
}
