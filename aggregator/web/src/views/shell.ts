// What frames every page: disclaimer, test banners, navigation, counts of unacknowledged alerts, state of the
// line, and the live regions that speak to screen readers.

import { h, set, show, spoken, svg, text, toggle } from "../dom.ts";
import type { Priority } from "../model.ts";
import { displayName, health, maySeeFleet, maySetRules, openAlerts, unacknowledged, type Announcement, type Health } from "../store.ts";
import { awaiting } from "../shifts.ts";
import { texts } from "../texts.ts";
import { THEME } from "../prefs.ts";
import { applyTheme } from "../theme.ts";
import * as time from "../time.ts";
import { mark } from "./mark.ts";
import { Fact, patientLink, type App } from "./parts.ts";
import type { Ringer } from "./ringer.ts";

/** Scrolled less than this the top of a list is seen, pixels. */
const LIST_SEEN = 160;
const PRIORITIES: readonly Priority[] = ["high", "medium", "low"];

/** What opens from the frame. */
export interface Doors {
  settings(): void;
  /** One's own sessions and passkeys. */
  account(): void;
  lock(): void;
}

export class Shell {
  readonly root: HTMLElement;
  readonly main = h("main", { id: "main", tabindex: "-1" });
  readonly #app: App;
  readonly #ringer: Ringer;
  readonly #local: () => number;
  readonly #rate: () => number;
  readonly #testData = h("span", { class: "chip test", title: texts.testDataLong, hidden: true }, texts.testData);
  readonly #testClock = h("span", { class: "chip test", hidden: true });
  readonly #nav: HTMLElement;
  readonly #links: Record<string, HTMLAnchorElement>;
  readonly #counts = new Map<Priority, { root: HTMLElement; number: HTMLElement; words: HTMLElement }>();
  readonly #countsRoot: HTMLAnchorElement;
  readonly #connection: Connection;
  readonly #person = h("span", { class: "person", hidden: true });
  readonly #lost = h("div", { class: "lost", hidden: true });
  /** Who waits most urgently, wherever the page is scrolled and whatever is open. */
  readonly #urgent = h("a", { class: "urgent-bar", hidden: true });
  #route = "";
  #home = false;
  /** The streams are to be open. */
  #open = false;
  readonly #polite = h("div", { class: "sr", role: "status", "aria-live": "polite" });
  readonly #assertive = h("div", { class: "sr", role: "alert", "aria-live": "assertive" });
  #health: Health = "connecting";
  #lostSince: number | null = null;

  constructor(app: App, local: () => number, rate: () => number, repaint: () => void, ringer: Ringer, doors: Doors) {
    this.#app = app;
    this.#ringer = ringer;
    this.#local = local;
    this.#rate = rate;
    this.#links = {
      worklist: h("a", { href: "#/" }, texts.nav.worklist),
      alerts: h("a", { href: "#/alerts" }, texts.nav.alerts),
      handover: h("a", { href: "#/handover" }, texts.nav.handover),
      wall: h("a", { href: "#/wall" }, texts.nav.wall),
      roster: h("a", { href: "#/roster" }, texts.nav.roster),
      rules: h("a", { href: "#/rules", hidden: true }, texts.nav.rules),
      fleet: h("a", { href: "#/fleet", hidden: true }, texts.nav.fleet),
    };
    this.#nav = h("nav", { class: "nav", "aria-label": texts.nav.label }, ...Object.values(this.#links));
    this.#countsRoot = h("a", { class: "counts", href: "#/alerts" });
    for (const priority of PRIORITIES) {
      const number = h("span", { "aria-hidden": "true" });
      const words = spoken("");
      const root = h(
        "span",
        { class: `count ${priority}` },
        h("span", { class: "count-symbol", "aria-hidden": "true" }, texts.symbol(priority)),
        number,
        words,
      );
      this.#counts.set(priority, { root, number, words });
      this.#countsRoot.append(root);
    }
    this.#connection = new Connection(app, local, doors);
    window.addEventListener("scroll", () => this.#updateUrgent(), { passive: true });
    this.root = h("div", { class: "shell" }, this.#skip(), this.#header(repaint, doors.settings), this.main, this.#polite, this.#assertive);
  }

  #skip(): HTMLElement {
    return h(
      "a",
      {
        class: "skip",
        href: "#main",
        onclick: (event) => {
          // The hash is the route: go there without changing it.
          event.preventDefault();
          this.main.focus();
        },
      },
      texts.skip,
    );
  }

  #header(repaint: () => void, settings: () => void): HTMLElement {
    return h(
      "header",
      { class: "top" },
      h(
        "div",
        { class: "strip" },
        h("span", { class: "disclaimer", title: texts.disclaimerLong }, texts.disclaimer),
        h("span", { class: "chips" }, this.#testData, this.#testClock),
      ),
      h(
        "div",
        { class: "bar-top" },
        h("a", { class: "wordmark", href: "#/" }, mark(), texts.brand),
        this.#nav,
        this.#countsRoot,
        h("span", { class: "spacer" }),
        this.#connection.root,
        this.#person,
        this.#ringer.button,
        themeButton(repaint),
        settingsButton(settings),
      ),
      this.#lost,
      this.#urgent,
    );
  }

  /** `heard`: the alarm may sound, whatever is shown. `home`: it is a patient's own page. */
  show(route: string, signedIn: boolean, heard: boolean, home: boolean): void {
    this.#route = route;
    this.#home = home;
    for (const [name, link] of Object.entries(this.#links)) set(link, "aria-current", name === route ? "page" : null);
    show(this.#nav, signedIn && !home);
    show(this.#connection.root, signedIn);
    show(this.#ringer.button, heard);
    this.#open = signedIn;
  }

  update(): void {
    const { state } = this.#app;
    const anyTest = state.session?.testData === true || anyOf(state.twins.values(), (twin) => twin.testData);
    show(this.#testData, anyTest);
    this.#updateClock();
    const counts = unacknowledged(state);
    for (const [priority, parts] of this.#counts) {
      const count = counts[priority];
      text(parts.number, String(count));
      text(parts.words, ` ${texts.counts.spoken(priority, count)} `);
      toggle(parts.root, "none", count === 0);
    }
    const person = state.session?.person ?? "";
    show(this.#person, person !== "" && state.phase === "signed-in" && !this.#home);
    text(this.#person, person);
    show(this.#links["rules"]!, maySetRules(state));
    text(this.#links["handover"]!, texts.handover.nav(awaiting(this.#app.shifts.all ?? [], person).length));
    show(this.#links["fleet"]!, maySeeFleet(state));
    // Who runs the centre has no patient.
    const runs = state.session?.role === "administrator";
    for (const name of ["worklist", "alerts", "handover", "wall"]) show(this.#links[name]!, !runs);
    show(this.#countsRoot, this.#open && !this.#home && !runs);
    set(this.#person, "title", texts.tools.person(person));
    this.#updateUrgent();
    this.#connection.update();
    this.#ringer.paint();
    this.#updateHealth();
  }

  /** Not where the list of who waits begins on the screen itself. */
  #updateUrgent(): void {
    const { state } = this.#app;
    const list = this.#route === "worklist" || this.#route === "alerts";
    // It comes and goes with scrolling there, and must move nothing.
    toggle(this.#urgent, "over", list);
    if (this.#home) {
      show(this.#urgent, false);
      return;
    }
    const waiting = (list && window.scrollY < LIST_SEEN) || this.#route === "wall" ? [] : openAlerts(state).filter((alert) => alert.priority === "high" && alert.state === "active");
    const [first] = waiting;
    const elsewhere = first !== undefined && patientLink(first.patient) !== location.hash;
    show(this.#urgent, elsewhere);
    if (!first || !elsewhere) return;
    set(this.#urgent, "href", patientLink(first.patient));
    const wait = time.span(this.#app.now() - first.raised);
    text(this.#urgent, texts.urgent(displayName(state, first.patient), texts.condition(first.condition), wait, waiting.length - 1));
  }

  #updateClock(): void {
    const description = this.#app.state.session?.testClock ?? "";
    show(this.#testClock, description !== "");
    if (description === "") return;
    const rate = Math.round(this.#rate() * 10) / 10;
    const fast = rate === 1 ? "" : ` ×${time.number(rate, rate % 1 === 0 ? 0 : 1)}`;
    text(this.#testClock, `${texts.testClock}${fast} · ${time.clockSeconds(this.#app.now())}`);
    set(this.#testClock, "title", description);
  }

  #updateHealth(): void {
    const { state } = this.#app;
    const now = health(state, this.#local());
    const signedIn = state.phase === "signed-in" && this.#open;
    if (signedIn && now !== this.#health) {
      if (now === "down") this.#polite.textContent = texts.connection.lostSpoken;
      if (now === "live" && this.#lostSince !== null) this.#polite.textContent = texts.connection.restored;
    }
    this.#health = now;
    if (now === "live") this.#lostSince = null;
    else if (now === "down") this.#lostSince ??= Math.min(state.links.twins.since, state.links.alerts.since);
    show(this.#lost, signedIn && now === "down");
    if (now === "down") text(this.#lost, texts.connection.lost(time.span(this.#local() - (this.#lostSince ?? 0))));
  }

  /** Only high priority interrupts. */
  announce(news: readonly Announcement[]): void {
    for (const { alert, assertive } of news) {
      const words = texts.announce(alert.priority, displayName(this.#app.state, alert.patient), texts.condition(alert.condition));
      (assertive ? this.#assertive : this.#polite).textContent = words;
    }
  }

  /** Nothing that was said about a patient stays in the document. */
  forget(): void {
    this.#polite.textContent = "";
    this.#assertive.textContent = "";
    this.#urgent.textContent = "";
    set(this.#urgent, "href", null);
    show(this.#urgent, false);
  }

  say(words: string): void {
    this.#polite.textContent = words;
  }
}

/** State of the line at a glance; on request who is signed in, both streams, round trip and fingerprint. */
class Connection {
  readonly root = h("details", { class: "connection" });
  readonly #app: App;
  readonly #local: () => number;
  readonly #summary = h("summary");
  readonly #word = h("span", { class: "state-word" });
  readonly #trip = h("span", { class: "trip" });
  readonly #person = new Fact(texts.connection.person);
  readonly #twins = new Fact(texts.connection.twins);
  readonly #alerts = new Fact(texts.connection.alerts);
  readonly #roundTrip = new Fact(texts.connection.roundTrip);
  readonly #conflated = new Fact(texts.connection.conflated);
  readonly #clock = new Fact(texts.systemClock);
  readonly #testClock = new Fact(texts.testClock);
  readonly #fingerprint = new Fact(texts.connection.fingerprint);

  constructor(app: App, local: () => number, doors: Doors) {
    this.#app = app;
    this.#local = local;
    this.#summary.append(h("span", { class: "dot", "aria-hidden": "true" }), this.#word, this.#trip);
    const facts = [this.#twins, this.#alerts, this.#roundTrip, this.#conflated, this.#clock, this.#testClock, this.#fingerprint];
    const signOut = h(
      "form",
      { method: "post", action: "/sign-out" },
      h("button", { class: "button", type: "submit" }, texts.tools.signOut),
    );
    const then = (open: () => void) => () => {
      this.root.open = false;
      open();
    };
    const own = h(
      "div",
      { class: "buttons" },
      h("button", { class: "button", type: "button", onclick: then(doors.account) }, texts.account.title),
      h("button", { class: "button", type: "button", onclick: then(doors.lock) }, texts.locked.lock),
      signOut,
    );
    const list = h("dl", { class: "facts" }, this.#person.root, ...facts.map((fact) => fact.root));
    this.root.append(this.#summary, h("div", { class: "popover" }, list, own));
    document.addEventListener("click", (event) => {
      if (event.target instanceof Node && !this.root.contains(event.target)) this.root.open = false;
    });
    this.root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.root.open) return;
      this.root.open = false;
      this.#summary.focus();
    });
  }

  update(): void {
    const { state } = this.#app;
    const now = health(state, this.#local());
    const word = texts.connection[now];
    const trip = now === "live" && state.roundTrip !== null ? `${Math.max(1, Math.round(state.roundTrip))} ms` : "";
    set(this.root, "class", `connection ${now}`);
    text(this.#word, word);
    text(this.#trip, trip);
    set(this.#summary, "title", texts.connection.label(word));
    if (!this.root.open) return;
    const phase = (stream: "twins" | "alerts") => {
      const link = state.links[stream];
      const retry = link.retryAt === null ? "" : `, ${texts.connection.retryIn(time.span(link.retryAt - this.#local()))}`;
      return texts.connection.phases[link.phase] + retry;
    };
    this.#person.update(state.session?.person ?? "");
    this.#twins.update(phase("twins"));
    this.#alerts.update(phase("alerts"));
    this.#roundTrip.update(trip);
    this.#conflated.update(time.number(state.conflated, 0));
    this.#clock.update(time.full(this.#app.now()));
    this.#testClock.update(state.session?.testClock ?? "");
    this.#fingerprint.update(state.session?.fingerprint ?? "", "mono");
  }
}

function anyOf<Value>(values: Iterable<Value>, holds: (value: Value) => boolean): boolean {
  for (const value of values) if (holds(value)) return true;
  return false;
}

export function icon(path: string): SVGSVGElement {
  return svg("svg", { viewBox: "0 0 24 24", width: 20, height: 20, "aria-hidden": "true", class: "icon" }, svg("path", { d: path }));
}

const ICONS = {
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  light: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2",
  dark: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.500 10.500z",
  settings: "M4 7h9M19 7h1M4 17h1M11 17h9M16 4.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5zM8 14.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5z",
} as const;

function themeButton(repaint: () => void): HTMLButtonElement {
  const button = h("button", { class: "tool", type: "button" });
  const paint = () => {
    const words = texts.tools.themeNow(texts.tools.themes[THEME.get()]);
    set(button, "aria-label", words);
    set(button, "title", words);
    button.replaceChildren(icon(ICONS[THEME.get()]));
  };
  button.addEventListener("click", () => {
    const { options } = THEME;
    THEME.set(options[(options.indexOf(THEME.get()) + 1) % options.length]!);
    applyTheme();
    paint();
    repaint();
  });
  paint();
  return button;
}

function settingsButton(open: () => void): HTMLButtonElement {
  return h("button", { class: "tool", type: "button", "aria-label": texts.settings.title, title: texts.settings.title, onclick: open }, icon(ICONS.settings));
}
