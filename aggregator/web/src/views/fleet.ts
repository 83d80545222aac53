// The fleet: gateways with their devices, those first that need a hand, and how the way to people does hop by hop. Who runs
// the centre works on it here; supervisors look. Nothing that was measured of anybody comes to this page.

import { fill, h, reconcile, set, show, text, toggle } from "../dom.ts";
import type { Fleet, FleetGateway } from "../model.ts";
import { mayRunFleet } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { askEnrol, askPageLink } from "./fleetacts.ts";
import { GatewayRow } from "./gateway.ts";
import { Fact, type App, type View } from "./parts.ts";

const words = texts.fleet;
/** Between two looks, milliseconds of this machine. */
const EVERY = 5000;
/** With so many gateways a look is dear, and nobody sees them all at once. */
const MANY = 300;
const EVERY_OF_MANY = 20_000;
/** What is older than this many looks may no longer be so. */
const LOOKS = 4;

export class FleetView implements View {
  readonly title = words.title;
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #asOf = h("p", { class: "page-note" }, words.loading);
  readonly #stale = h("p", { class: "notice bad", role: "status", hidden: true });
  readonly #warnings = h("div", { class: "notice bad", hidden: true });
  readonly #hops = h("ol", { class: "fleet-hops" });
  readonly #load = new LoadView();
  readonly #acts = h("div", { class: "buttons" });
  readonly #find = h("input", { type: "search", autocomplete: "off", spellcheck: false, class: "fleet-find" });
  readonly #only = h("input", { type: "checkbox" });
  readonly #count = h("p", { class: "muted", role: "status" });
  readonly #none = h("div", { class: "fleet-none", hidden: true });
  readonly #list = h("ul", { class: "fleet" });
  readonly #rows = new Map<string, GatewayRow>();
  #fleet: Fleet | null = null;
  /** Local times. */
  #asked = Number.NEGATIVE_INFINITY;
  #told = performance.now();
  #asking = false;
  #failed = "";
  #gone = false;

  constructor(app: App) {
    this.#app = app;
    const button = (label: string, act: () => void, main = false) => h("button", { class: main ? "button primary" : "button", type: "button", onclick: act }, label);
    this.#acts.append(
      button(words.enrol, () => askEnrol(app, () => this.look()), true),
      button(words.pageLink, () => void askPageLink(app)),
    );
    for (const part of [this.#find, this.#only]) part.addEventListener("input", () => this.#draw());
    set(this.#find, "id", "fleet-find");
    set(this.#find, "placeholder", words.findHint);
    this.root = h(
      "div",
      { class: "page fleet-page" },
      h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, words.title), this.#asOf, h("span", { class: "spacer" }), this.#acts),
      this.#stale,
      this.#warnings,
      h("section", { class: "group", "aria-labelledby": "fleet-service" }, h("h2", { id: "fleet-service" }, words.service), this.#hops, this.#load.root),
      h(
        "section",
        { class: "group", "aria-labelledby": "fleet-list" },
        h("h2", { id: "fleet-list" }, words.hop("gateway")),
        h("div", { class: "fleet-tools" }, h("label", { for: "fleet-find" }, words.find), this.#find, h("label", { class: "check" }, this.#only, words.onlyNeeds)),
        this.#count,
        this.#none,
        this.#list,
      ),
    );
    void this.look();
  }

  update(): void {
    const every = (this.#fleet?.gateways.length ?? 0) > MANY ? EVERY_OF_MANY : EVERY;
    if (performance.now() - this.#asked >= every) void this.look();
    const age = performance.now() - this.#told;
    const old = age > LOOKS * every || (this.#failed !== "" && this.#fleet === null);
    show(this.#stale, old);
    toggle(this.root, "stale", old);
    if (old) text(this.#stale, words.stale(time.span(age), this.#failed));
    show(this.#acts, mayRunFleet(this.#app.state));
  }

  destroy(): void {
    this.#gone = true;
  }

  /** Asks the centre how it is now. */
  async look(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    this.#asked = performance.now();
    try {
      const fleet = await this.#app.fleet.read();
      if (this.#gone) return;
      this.#load.update(this.#fleet, fleet);
      this.#fleet = fleet;
      [this.#told, this.#failed] = [performance.now(), ""];
      this.#draw();
    } catch (error) {
      this.#failed = error instanceof Error ? error.message : String(error);
    } finally {
      this.#asking = false;
    }
    this.update();
  }

  #draw(): void {
    const fleet = this.#fleet;
    if (fleet === null) return;
    text(this.#asOf, words.asOf(time.clockSeconds(fleet.at)));
    show(this.#warnings, fleet.warnings.length > 0);
    // The centre's own words.
    fill(this.#warnings, h("p", {}, words.warnings), h("ul", { lang: "en" }, ...fleet.warnings.map((one) => h("li", {}, one))));
    fill(this.#hops, ...fleet.hops.map((hop) => hopView(hop, fleet.at)));
    const { gateways } = fleet;
    const shown = gateways.filter((one) => (!this.#only.checked || one.needs.length > 0) && fits(one, this.#find.value));
    text(this.#count, words.shown(shown.length, gateways.length, gateways.filter((one) => one.needs.length > 0).length));
    show(this.#count, gateways.length > 0);
    show(this.#none, shown.length === 0);
    const empty = gateways.length === 0;
    fill(this.#none, h("p", { class: "lead" }, empty ? words.empty : words.noMatch), empty && mayRunFleet(this.#app.state) && h("p", {}, words.emptyHow));
    const make = () => new GatewayRow(this.#app, () => this.look());
    reconcile(this.#list, this.#rows, shown, (one) => one.id, make, (row, one) => row.update(one, fleet.at));
  }
}

/** Every word that was asked for stands somewhere. */
function fits(one: FleetGateway, asked: string): boolean {
  const wanted = asked.trim().toLowerCase().split(/\s+/);
  const devices = one.devices.flatMap(({ person, patient, address, name, model }) => [person, patient, address, name, model]);
  const text = [one.label, one.id, ...devices].join(" ").toLowerCase();
  return wanted.every((word) => text.includes(word));
}

function hopView({ hop, all, silent, since }: Fleet["hops"][number], now: number): HTMLElement {
  const state = all === 0 ? words.hopNone : silent === 0 ? words.hopHeard(all) : words.hopSilent(silent, all, since === null ? "" : time.span(now - since));
  const mood = all === 0 ? "none" : silent === 0 ? "well" : "bad";
  return h("li", { class: `fleet-hop ${mood}`, "data-hop": hop }, h("strong", {}, words.hop(hop)), h("span", { class: "hint" }, words.hopAbout(hop)), h("span", { class: "fleet-hop-state" }, state));
}

/** How much the centre has to do. */
class LoadView {
  readonly root: HTMLElement;
  readonly #rate = new Fact(words.rate);
  readonly #connected = new Fact(words.connected);
  readonly #waiting = new Fact(words.waiting);
  readonly #held = new Fact(words.held);
  readonly #readers = new Fact(words.readers);
  readonly #patients = new Fact(words.patients);
  readonly #refused = new Fact(words.refused);
  readonly #stopped = new Fact(words.stopped);

  constructor() {
    const facts = [this.#rate, this.#connected, this.#waiting, this.#held, this.#readers, this.#patients, this.#refused, this.#stopped];
    this.root = h("dl", { class: "facts fleet-load", "aria-label": words.load }, ...facts.map((one) => one.root));
  }

  update(before: Fleet | null, now: Fleet): void {
    const { load } = now;
    if (load === null) return;
    const earlier = before?.load ?? null;
    const seconds = before === null ? 0 : (now.at - before.at) / 1000;
    const more = earlier === null ? -1 : load.readings - earlier.readings;
    // A centre that was started anew counts from its log: less is no rate.
    this.#rate.update(seconds > 0 && more >= 0 ? time.number(more / seconds, 1) : words.rateUnknown);
    this.#connected.update(words.of(load.connected, load.gateways), load.connected < load.gateways ? "bad" : "");
    this.#waiting.update(time.number(load.entriesWaiting, 0));
    this.#held.update(time.number(load.recordsWaiting, 0));
    this.#readers.update(time.number(load.readers, 0));
    this.#patients.update(time.number(load.patients, 0));
    const refused = load.refused.filter(([, count]) => count > 0).map(([why, count]) => `${why.replaceAll("_", " ")} ${time.number(count, 0)}`);
    this.#refused.update(refused.length === 0 ? words.refusedNone : refused.join(", "));
    this.#stopped.update(load.stopped, "bad");
  }
}
