// Puts the pieces together: session, streams, state, route, and one redraw per frame at most.

import "./style.css";
import * as api from "./api.ts";
import { fill } from "./dom.ts";
import type { Coverage, Kind, Session } from "./model.ts";
import { announcements, health, reduce, START, type Action, type State } from "./store.ts";
import { texts } from "./texts.ts";
import { applyTheme, onSystemTheme } from "./theme.ts";
import { CentreClock } from "./time.ts";
import { Trends } from "./trends.ts";
import { AlertsView } from "./views/alerts.ts";
import type { App, View } from "./views/parts.ts";
import { PatientView } from "./views/patient.ts";
import { Shell } from "./views/shell.ts";
import { SignedOutView } from "./views/signedout.ts";
import { WorklistView } from "./views/worklist.ts";

/** Asks for the session this often: round trip, clock, whether it still holds. */
const SESSION_EVERY = 15_000;
const TICK = 1000;
/** New values are shown within this; alerts and acts of people with the next frame. */
const VALUES_DELAY = 200;
const PAST_ALERTS = 200;

const local = () => performance.now();

class Page implements App {
  state: State = START;
  readonly trends = new Trends(api.past);
  readonly #clock = new CentreClock();
  readonly #shell: Shell;
  readonly #signedOut: SignedOutView;
  #pending: Action[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #frame: number | undefined;
  #view: View | null = null;
  #route = "";
  #streams: AbortController | null = null;
  #namedTwins = 0;

  constructor() {
    const repaint = () => this.#view?.repaint?.();
    this.#shell = new Shell(this, local, () => this.#clock.rate, repaint);
    this.#signedOut = new SignedOutView(() => void this.#askSession());
    onSystemTheme(repaint);
    window.addEventListener("hashchange", () => this.#draw());
    window.addEventListener("online", () => void this.#askSession());
  }

  start(): void {
    document.body.append(this.#shell.root);
    void this.#askSession();
    setInterval(() => void this.#askSession(), SESSION_EVERY);
    setInterval(() => {
      this.trends.trim(this.now(), this.#openPatient());
      this.#draw();
    }, TICK);
  }

  now(): number {
    return this.#clock.now(local());
  }

  lineDown(): boolean {
    return health(this.state, local()) === "down";
  }

  async acknowledge(alert: string, note: string): Promise<void> {
    try {
      const after = await api.acknowledge(alert, note);
      this.#act({ type: "alert", alert: after, snapshot: false });
      this.#shell.say(texts.alerts.acknowledgedSpoken);
    } catch (error) {
      throw new Error(api.reason(error));
    }
  }

  async loadPastAlerts(patients: string[]): Promise<void> {
    for (const alert of await api.pastAlerts(patients, PAST_ALERTS)) this.#act({ type: "alert", alert, snapshot: false });
  }

  coverage(query: { patient: string; kinds: readonly Kind[]; from: number; to: number }, signal: AbortSignal): Promise<Coverage[]> {
    return api.coverage(query, signal);
  }

  async #askSession(): Promise<void> {
    try {
      const answer = await api.session();
      this.#signedOut.unreachable(false);
      if (answer === null) {
        this.#signOut();
        return;
      }
      this.#tellClock(answer.session, answer.answered - answer.roundTrip / 2);
      this.#act({ type: "session", session: answer.session, roundTrip: answer.roundTrip });
      if (this.#streams === null) this.#openStreams();
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
    this.#act({ type: "signed-out" });
  }

  #act(action: Action): void {
    this.#pending.push(action);
    // The timer also serves a hidden tab, which has no frames.
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
    this.#shell.announce(announcements(before, this.state));
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
    const patient = this.#openPatient();
    const page = location.hash === "#/alerts" ? "alerts" : "worklist";
    const route = !signedIn ? this.state.phase : patient === null ? page : `patient ${patient}`;
    if (route !== this.#route) this.#open(route, patient);
    this.#shell.update();
    this.#view?.update();
    // A name may have come meanwhile.
    const title = texts.title(this.#view?.title ?? texts.brand);
    if (document.title !== title) document.title = title;
  }

  #open(route: string, patient: string | null): void {
    const first = this.#route === "" || this.#route === "starting";
    this.#route = route;
    this.#view?.destroy?.();
    const signedIn = this.state.phase === "signed-in";
    if (this.state.phase === "starting") this.#view = null;
    else if (!signedIn) this.#view = this.#signedOut;
    else if (patient !== null) this.#view = new PatientView(this, patient);
    else this.#view = route === "alerts" ? new AlertsView(this) : new WorklistView(this);
    this.#shell.show(patient === null ? route : "", signedIn);
    fill(this.#shell.main, this.#view?.root ?? null);
    if (first || !this.#view) return;
    window.scrollTo(0, 0);
    this.#view.root.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }
}

applyTheme();
try {
  new Page().start();
} catch (error) {
  document.body.replaceChildren(texts.fatal);
  throw error;
}
