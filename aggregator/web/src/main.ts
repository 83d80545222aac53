// Puts the pieces together: session, streams, state, route, and one redraw per frame at most.

import "./style.css";
import * as api from "./api.ts";
import { fill } from "./dom.ts";
import { Keyboard, type Command } from "./keys.ts";
import type { Access, Alert, Coverage, Duty, Fleet, HistorySlice, Kind, OwnRecord, PatientFact, Session, WaveBlock, Scoreboard } from "./model.ts";
import { LookIn } from "./lookin.ts";
import { KEYS } from "./prefs.ts";
import { announcements, health, mayAct, maySeeFleet, maySetRules, openAlerts, reduce, START, type Action, type State } from "./store.ts";
import { texts } from "./texts.ts";
import { Shifts } from "./shifts.ts";
import { applyTheme, onSystemTheme } from "./theme.ts";
import { CentreClock } from "./time.ts";
import { Trends } from "./trends.ts";
import { Acts } from "./views/acts.ts";
import { AlertsView } from "./views/alerts.ts";
import { Ask } from "./views/ask.ts";
import { FleetView } from "./views/fleet.ts";
import { HandoverView } from "./views/handover.ts";
import { RosterView } from "./views/roster.ts";
import { RulesView } from "./views/rules.ts";
import { patientLink, type App, type NewFact, type View } from "./views/parts.ts";
import { PatientView } from "./views/patient.ts";
import { lock as lockSession } from "./account.ts";
import { loudest } from "./sound.ts";
import type { Link } from "./stream.ts";
import { askAccount } from "./views/account.ts";
import { HomeView } from "./views/home.ts";
import { LockedView } from "./views/locked.ts";
import { Shell } from "./views/shell.ts";
import { Ringer } from "./views/ringer.ts";
import { askHelp, askSettings } from "./views/settings.ts";
import { SignedOutView } from "./views/signedout.ts";
import { WallView } from "./views/wall.ts";
import { WorklistView } from "./views/worklist.ts";

/** Asks for the session this often: round trip, clock, whether it still holds. */
const SESSION_EVERY = 15_000;
/** A locked screen has no stream: it asks so often whether something rings. */
const LOCKED_EVERY = 1000;
const TICK = 1000;
/** New values are shown within this; alerts and acts of people with the next frame. */
const VALUES_DELAY = 200;
const PAST_ALERTS = 200;

type Route = "worklist" | "alerts" | "handover" | "wall" | "roster" | "rules" | "fleet";
const ROUTES: Readonly<Record<string, Route>> = { "#/alerts": "alerts", "#/handover": "handover", "#/wall": "wall", "#/roster": "roster", "#/rules": "rules", "#/fleet": "fleet" };

/** Commands that are acts of a person about an alert. */
const ACTS: ReadonlySet<Command> = new Set<Command>(["acknowledge", "take", "assign", "comment", "escalate", "silence"]);

const local = () => performance.now();

class Page implements App {
  state: State = START;
  readonly trends = new Trends(api.past);
  readonly ask = new Ask((words) => this.say(words));
  readonly acts = new Acts(this, this.ask);
  readonly #ringer = new Ringer(local);
  readonly #keyboard = new Keyboard();
  readonly #clock = new CentreClock();
  readonly #lookIn = new LookIn((patient, signal) => {
    const told = (lookers: State["lookers"]) => signal.aborted || this.#act({ type: "lookers", lookers });
    void api.lookIn(patient, told, signal);
  });
  readonly #shell: Shell;
  readonly #signedOut: SignedOutView;
  #pending: Action[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #frame: number | undefined;
  #view: View | null = null;
  #route = "";
  #streams: AbortController | null = null;
  #namedTwins = 0;
  /** Somebody touched the page since the session was asked for last. */
  #active = true;
  #askedAt = Number.NEGATIVE_INFINITY;
  #locked: LockedView | null = null;

  constructor() {
    const repaint = () => this.#view?.repaint?.();
    this.#shell = new Shell(this, local, () => this.#clock.rate, repaint, this.#ringer, {
      settings: () => askSettings(this.ask, repaint),
      account: () => void askAccount(this.ask, () => this.now()),
      lock: () => void this.lock().catch((error: unknown) => this.say(error instanceof Error ? error.message : String(error))),
    });
    this.#signedOut = new SignedOutView(() => void this.#askSession());
    onSystemTheme(repaint);
    window.addEventListener("hashchange", () => this.#draw());
    window.addEventListener("online", () => void this.#askSession());
    document.addEventListener("visibilitychange", () => this.#draw());
  }

  start(): void {
    document.body.append(this.#shell.root, this.ask.root);
    document.addEventListener("keydown", (event) => this.#pressed(event));
    void this.#askSession();
    for (const name of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) {
      document.addEventListener(name, () => (this.#active = true), { passive: true });
    }
    setInterval(() => {
      const every = this.#locked === null ? SESSION_EVERY : LOCKED_EVERY;
      // A little early: a tick that comes late must not make it twice as long.
      if (local() - this.#askedAt > every - TICK / 2) void this.#askSession();
      this.trends.trim(this.now(), this.#openPatient());
      if (this.#hasShifts) this.shifts.keep(local());
      else this.shifts.forget();
      this.#ring();
      this.#draw();
    }, TICK);
  }

  now(): number {
    return this.#clock.now(local());
  }

  lineDown(): boolean {
    return health(this.state, local()) === "down";
  }

  newTrends(): Trends {
    return new Trends(api.past);
  }

  say(words: string): void {
    this.#shell.say(words);
  }

  acknowledge(alert: string, note: string): Promise<void> {
    return this.#done(api.acknowledge(alert, note));
  }

  comment(alert: string, words: string): Promise<void> {
    return this.#done(api.comment(alert, words));
  }

  escalate(alert: string, duty: Duty, words: string): Promise<void> {
    return this.#done(api.escalate(alert, duty, words));
  }

  setOwner(alert: string, owner: string): Promise<void> {
    return this.#done(api.setOwner(alert, owner));
  }

  snooze(alert: Alert, seconds: number, reason: string): Promise<void> {
    return told(api.snooze(alert.patient, alert.condition, seconds, reason));
  }

  endSnooze(alert: Alert): Promise<void> {
    return told(api.endSnooze(alert.patient, alert.condition));
  }

  facts(patient: string): Promise<PatientFact[]> {
    return told(api.facts(patient));
  }

  recordFact(patient: string, fact: NewFact): Promise<PatientFact[]> {
    return told(api.recordFact(patient, fact));
  }

  retractFact(patient: string, id: string): Promise<PatientFact[]> {
    return told(api.retractFact(patient, id));
  }

  own(): Promise<OwnRecord> {
    return told(api.own());
  }

  readonly shifts = new Shifts({
    read: () => told(api.rosters()),
    check: (team, document) => told(api.checkRoster(team, document)),
    set: (team, document) => told(api.setRoster(team, document)),
    takeOver: (team, turn) => told(api.takeOver(team, turn)),
  });

  readonly teamFilters = {
    read: () => told(api.teamFilters()),
    keep: (team: string, name: string, facets: string[]) => told(api.keepTeamFilter(team, name, facets)),
  };

  readonly rules = {
    read: () => told(api.ruleBook()),
    check: (document: string) => told(api.checkRules(document)),
    shadow: (document: string) => told(api.shadowRules(document)),
    activate: (document: string, reason: string) => told(api.activateRules(document, reason)),
    back: (reason: string) => told(api.formerRules(reason)),
  };

  scoreboard(patient: string | null): Promise<Scoreboard> {
    return told(api.scoreboard(patient));
  }

  accesses(patient: string): Promise<Access[]> {
    return told(api.accesses(patient));
  }

  setSharing(patient: string, sharing: OwnRecord["sharing"], erase: boolean): Promise<void> {
    return told(api.setSharing(patient, sharing, erase));
  }

  notePrint(patient: string): Promise<void> {
    return told(api.notePrint(patient));
  }

  setPlatform(patient: string, platform: string, shared: boolean): Promise<void> {
    return told(api.setPlatform(patient, platform, shared));
  }

  readonly fleet = {
    read: () => this.#readFleet(),
    past: (gateway: string) => told(api.gatewayPast(gateway)),
    enrol: (label: string, seconds: number) => told(api.enrol(label, seconds)),
    people: () => told(api.people()),
    assign: (patient: string, gateway: string, devices: readonly string[]) => told(api.assign(patient, gateway, devices)),
    configure: (gateway: string, settings: string) => told(api.configure(gateway, settings)),
    revoke: (gateway: string) => told(api.revoke(gateway)),
    pageLink: (patient: string) => told(api.pageLink(patient)),
  };

  /** Who runs the centre has no stream: what is read here is their line. */
  async #readFleet(): Promise<Fleet> {
    const line = (live: boolean) => {
      if (this.state.session?.role !== "administrator") return;
      const { phase, since, attempt } = this.state.links.twins;
      const link: Link = live ? { phase: "live", since: local(), attempt: 0, retryAt: null } : { phase: "waiting", since: phase === "live" ? local() : since, attempt: attempt + 1, retryAt: null };
      for (const stream of ["twins", "alerts"] as const) this.#act({ type: "link", stream, link });
    };
    try {
      const fleet = await told(api.fleet());
      line(true);
      return fleet;
    } catch (error) {
      line(false);
      throw error;
    }
  }

  readings(patient: string): AsyncIterable<HistorySlice> {
    return api.readings(patient);
  }

  waveforms(patient: string, from: number, to: number, signal: AbortSignal): Promise<WaveBlock[]> {
    return told(api.waveforms(patient, from, to, signal));
  }

  async #done(act: Promise<Alert>): Promise<void> {
    this.#act({ type: "alert", alert: await told(act), snapshot: false });
  }

  alertsOf(patient: string): Promise<Alert[]> {
    return told(api.pastAlerts([patient], PAST_ALERTS));
  }

  async loadPastAlerts(patients: string[]): Promise<void> {
    for (const alert of await api.pastAlerts(patients, PAST_ALERTS)) this.#act({ type: "alert", alert, snapshot: false });
  }

  coverage(query: { patient: string; kinds: readonly Kind[]; from: number; to: number }, signal: AbortSignal): Promise<Coverage[]> {
    return api.coverage(query, signal);
  }

  /** Shows nothing of a patient until somebody signs in anew; what rings is heard all the same. */
  async lock(): Promise<void> {
    await lockSession();
    await this.#askSession();
  }

  /** A patient's page is no alarm: those who look after them hear it. */
  get #isHome(): boolean {
    return this.state.session?.role === "patient";
  }

  /** They have no patient: no key acts on one, and nothing rings. */
  get #runsCentre(): boolean {
    return this.state.session?.role === "administrator";
  }

  #ring(): void {
    const { session } = this.state;
    if (this.#isHome) return;
    if (session?.locked === true) this.#ringer.ring(loudest(session.ringing));
    else this.#ringer.tick(this.state.alerts.values());
  }

  /** The screen locked: streams end, and nothing of a patient stays in the document or in memory. */
  #lockUp(session: Session): void {
    const before = this.state.session;
    if (this.#locked === null) {
      this.#signOut();
      if (this.ask.isOpen) this.ask.root.close();
      this.ask.forget();
      // The address may name a patient, too.
      history.replaceState(null, "", location.pathname);
      this.#locked = new LockedView(() => location.reload());
    }
    for (const priority of ["high", "medium", "low"] as const) {
      if (before?.locked === true && session.ringing[priority] > before.ringing[priority]) this.#ringer.news(priority);
    }
    this.#locked.tell(session);
  }

  async #askSession(): Promise<void> {
    // A screen on the wall is there to be looked at by who passes: signed in by a viewer, it does not lock.
    const active = this.#active || (this.#route === "wall" && this.state.session?.role === "viewer");
    this.#active = false;
    this.#askedAt = local();
    try {
      const answer = await api.session(active);
      this.#signedOut.unreachable(false);
      if (answer === null) {
        this.#signOut();
        return;
      }
      const before = this.state.session;
      if (before !== null && (before.role !== answer.session.role || before.person !== answer.session.person)) {
        // What was shown may not be seen any more: nothing of it stays.
        location.reload();
        return;
      }
      if (!answer.session.locked && this.#locked !== null) {
        // Opened, in another tab perhaps.
        location.reload();
        return;
      }
      if (answer.session.locked) this.#lockUp(answer.session);
      this.#tellClock(answer.session, answer.answered - answer.roundTrip / 2);
      this.#act({ type: "session", session: answer.session, roundTrip: answer.roundTrip });
      // Who runs the centre has no patient to watch.
      if (this.#streams === null && this.#locked === null && answer.session.role !== "administrator") this.#openStreams();
    } catch {
      // Not reachable: the streams say so too, and both try again.
      this.#signedOut.unreachable(true);
    }
  }

  #tellClock(session: Session, at: number): void {
    if (session.now !== null) this.#clock.told(session.now, session.rate ?? this.#clock.rate, at);
  }

  #openStreams(): void {
    this.#streams = new AbortController();
    const { signal } = this.#streams;
    const watcher: api.Watcher = {
      act: (action) => {
        if (signal.aborted) return;
        if (action.type === "twin") this.trends.take(action.twin);
        this.#act(action);
      },
      known: (ms) => this.#clock.observed(ms, local(), this.state.session?.testClock !== ""),
      signedOut: () => this.#signOut(),
      rightsChanged: () => void this.#askSession(),
    };
    void api.watchTwins(watcher, signal);
    void api.watchAlerts(watcher, signal);
  }

  /** Nothing about a patient stays on screen or in memory. */
  #signOut(): void {
    this.#streams?.abort();
    this.#streams = null;
    this.trends.clear();
    this.#pending = [];
    this.#namedTwins = 0;
    this.#shell.forget();
    this.#act({ type: "signed-out" });
  }

  #act(action: Action): void {
    this.#pending.push(action);
    // A tab that nobody sees has no frames, and its timers may rest for a minute; an alert must be heard.
    if (document.hidden && action.type === "alert" && !action.snapshot) {
      this.#fold();
      return;
    }
    // The timer also serves a hidden tab.
    this.#timer ??= setTimeout(() => this.#fold(), VALUES_DELAY);
    if (action.type !== "twin") this.#frame ??= requestAnimationFrame(() => this.#fold());
  }

  #fold(): void {
    clearTimeout(this.#timer);
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#timer = undefined;
    this.#frame = undefined;
    const before = this.state;
    this.state = reduce(before, this.#pending.splice(0));
    const news = announcements(before, this.state);
    if (!this.#isHome) {
      this.#shell.announce(news);
      for (const { alert } of news) this.#ringer.news(alert.priority);
    }
    this.#ring();
    this.#askNames();
    this.#draw();
  }

  /** Names are not in the stream: asked for when there are patients that were not asked for yet. */
  #askNames(): void {
    const { complete, twins } = this.state;
    if (!complete.twins || twins.size === this.#namedTwins) return;
    this.#namedTwins = twins.size;
    const streams = this.#streams;
    void api.names().then((names) => {
      if (streams !== null && streams === this.#streams) this.#act({ type: "names", names });
    });
  }

  #pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || KEYS.get() === "off") return;
    const { target } = event;
    const writes = target instanceof HTMLElement && target.matches("input:not([type=checkbox], [type=radio]), textarea, select");
    if (writes || this.ask.isOpen || this.state.phase !== "signed-in" || this.#locked !== null || this.#isHome || this.#runsCentre) return;
    const command = this.#keyboard.press(event.key, local());
    if (command === null) return;
    event.preventDefault();
    this.#command(command);
  }

  #command(command: Command): void {
    const at = document.activeElement?.closest<HTMLElement>("[data-alert]")?.dataset["alert"];
    const alert = at === undefined ? undefined : this.state.alerts.get(at);
    if (ACTS.has(command) && !mayAct(this.state)) {
      this.say(texts.roles.looksOnly);
      return;
    }
    switch (command) {
      case "help":
        askHelp(this.ask);
        break;
      case "quiet":
        this.#ringer.pauseOrResume();
        this.#shell.update();
        break;
      case "next":
      case "previous":
        step(command === "next" ? 1 : -1);
        break;
      case "urgent": {
        const first = openAlerts(this.state).find((one) => one.state === "active") ?? openAlerts(this.state)[0];
        if (first) location.hash = patientLink(first.patient);
        else this.say(texts.alerts.none);
        break;
      }
      case "search":
        if (this.#view instanceof WorklistView) this.#view.search();
        else {
          location.hash = "#/";
          setTimeout(() => this.#view instanceof WorklistView && this.#view.search(), 50);
        }
        break;
      case "worklist":
        location.hash = "#/";
        break;
      case "alerts":
      case "handover":
      case "wall":
        location.hash = `#/${command}`;
        break;
      case "acknowledge":
        if (alert?.state === "active") this.acts.acknowledge([alert]);
        else this.say(texts.keys.nothingHere);
        break;
      case "take":
        if (alert) void this.acts.take(alert);
        else this.say(texts.keys.nothingHere);
        break;
      case "assign":
      case "comment":
      case "escalate":
      case "silence":
        if (!alert) this.say(texts.keys.nothingHere);
        else if (command === "assign") this.acts.assign([alert]);
        else this.acts[command](alert);
        break;
    }
  }

  /** Those who look after patients have shifts. */
  get #hasShifts(): boolean {
    return this.state.phase === "signed-in" && this.#locked === null && !this.#isHome && this.state.session?.role !== "administrator";
  }

  #openPatient(): string | null {
    const match = /^#\/patient\/(.+)$/.exec(location.hash);
    try {
      return match ? decodeURIComponent(match[1]!) : null;
    } catch {
      return null;
    }
  }

  #draw(): void {
    const signedIn = this.state.phase === "signed-in";
    const patient = this.state.session?.role === "administrator" ? null : this.#openPatient();
    const page = this.#pageOf(location.hash);
    const route = !signedIn ? this.state.phase : this.#locked !== null ? "locked" : this.#isHome ? "home" : patient === null ? page : `patient ${patient}`;
    if (route !== this.#route) this.#open(route, patient);
    if (this.#hasShifts) this.#lookIn.at(document.hidden ? null : patient);
    else this.#lookIn.leave();
    this.#shell.update();
    this.#view?.update();
    // A name may have come meanwhile.
    const title = texts.title(this.#view?.title ?? texts.brand);
    if (document.title !== title) document.title = title;
  }

  /** Who runs the centre has the fleet, and the rules. */
  #pageOf(hash: string): Route {
    if (this.state.session?.role === "administrator") return hash === "#/rules" ? "rules" : "fleet";
    return ROUTES[hash] ?? "worklist";
  }

  #open(route: string, patient: string | null): void {
    const first = this.#route === "" || this.#route === "starting";
    this.#route = route;
    this.#view?.destroy?.();
    const signedIn = this.state.phase === "signed-in";
    if (this.state.phase === "starting") this.#view = null;
    else if (!signedIn) this.#view = this.#signedOut;
    else if (this.#locked !== null) this.#view = this.#locked;
    else if (this.#isHome) this.#view = new HomeView(this);
    else if (this.state.session?.role === "administrator") this.#view = route === "rules" ? new RulesView(this) : new FleetView(this);
    else if (route === "fleet" && maySeeFleet(this.state)) this.#view = new FleetView(this);
    else if (patient !== null) this.#view = new PatientView(this, patient);
    else if (route === "alerts") this.#view = new AlertsView(this);
    else if (route === "handover") this.#view = new HandoverView(this);
    else if (route === "wall") this.#view = new WallView(this);
    else if (route === "roster") this.#view = new RosterView(this);
    else if (route === "rules" && maySetRules(this.state)) this.#view = new RulesView(this);
    else this.#view = new WorklistView(this);
    const locked = this.#locked !== null;
    document.documentElement.dataset["page"] = patient === null || locked || this.#isHome ? route : "patient";
    this.#shell.show(patient === null ? route : "", signedIn && !locked, signedIn && !this.#isHome, this.#isHome);
    fill(this.#shell.main, this.#view?.root ?? null);
    if (first || !this.#view) return;
    window.scrollTo(0, 0);
    this.#view.root.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }
}

/** Errors in words for people. */
async function told<Answer>(call: Promise<Answer>): Promise<Answer> {
  try {
    return await call;
  } catch (error) {
    throw new Error(api.reason(error));
  }
}

/** Moves the focus to the next or previous row or card. */
function step(by: 1 | -1): void {
  const stops = [...document.querySelectorAll<HTMLElement>("main [data-stop]")].filter((stop) => stop.offsetParent !== null);
  const here = document.activeElement;
  const inside = stops.findIndex((stop) => stop === here || (here !== null && stop.closest("[data-alert]")?.contains(here)));
  const place = inside >= 0 ? inside + by : by > 0 ? 0 : stops.length - 1;
  const stop = stops[Math.min(stops.length - 1, Math.max(0, place))];
  stop?.focus();
  stop?.scrollIntoView({ block: "nearest" });
}

applyTheme();
try {
  new Page().start();
} catch (error) {
  document.body.replaceChildren(texts.fatal);
  throw error;
}
