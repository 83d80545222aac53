// One stream that is to stay open: resume from the last cursor, exponential backoff with jitter, and a
// watchdog, because a line that says nothing (not even keep-alives) is broken. Knows no network library.

export type LinkPhase = "connecting" | "live" | "waiting" | "ended";

export interface Link {
  readonly phase: LinkPhase;
  /** Local time (`performance.now()`) at which this phase began. */
  readonly since: number;
  /** Failed tries since it was last live. */
  readonly attempt: number;
  /** Local time of the next try while waiting. */
  readonly retryAt: number | null;
}

export const CLOSED: Link = { phase: "connecting", since: 0, attempt: 0, retryAt: null };

const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;
/** Keep-alives come every 15 s. */
const SILENCE_LIMIT = 40_000;
/** Milliseconds that events may be taken without a rest: thousands that come at once must hold up no alert, key or frame. */
const RUN = 8;

/** Delay before try `attempt` (from 1), with `random` in [0, 1): half of it is jitter. */
export function backoff(attempt: number, random: number): number {
  const full = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (attempt - 1));
  return full / 2 + (full / 2) * random;
}

export interface Wiring<Event> {
  /** Opens the stream after `cursor` (empty: from a snapshot); calls `opened` once the other side answers. */
  open(cursor: Uint8Array, signal: AbortSignal, opened: () => void): AsyncIterable<Event>;
  cursor(event: Event): Uint8Array;
  event(event: Event): void;
  link(link: Link): void;
  /** True if trying again makes no sense (signed out): the loop ends. */
  fatal(error: unknown): boolean;
  now(): number;
  /** Lets everything else that waits have its turn. */
  rest(): Promise<void>;
  random(): number;
  /** Resolves after `ms`, or earlier when the network came back; rejects never. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

/** Runs until `signal` aborts or an error is fatal. */
export async function keepOpen<Event>(wiring: Wiring<Event>, signal: AbortSignal): Promise<void> {
  let cursor: Uint8Array = new Uint8Array();
  let attempt = 0;
  const say = (phase: LinkPhase, retryAt: number | null = null) =>
    wiring.link({ phase, since: wiring.now(), attempt, retryAt });
  while (!signal.aborted) {
    say("connecting");
    const line = new AbortController();
    const abort = () => line.abort();
    signal.addEventListener("abort", abort);
    let watchdog: ReturnType<typeof setTimeout> | undefined;
    let heard = wiring.now();
    // One timer that looks again, not one an event.
    const watch = () => {
      const left = SILENCE_LIMIT - (wiring.now() - heard);
      if (left > 0) watchdog = setTimeout(watch, left);
      else abort();
    };
    let live = false;
    const opened = () => {
      if (live) return;
      live = true;
      attempt = 0;
      say("live");
    };
    try {
      watch();
      let rested = heard;
      for await (const event of wiring.open(cursor, line.signal, opened)) {
        opened();
        heard = wiring.now();
        wiring.event(event);
        // After the event was taken: an event that throws is asked for again.
        const next = wiring.cursor(event);
        if (next.length > 0) cursor = next;
        if (wiring.now() - rested > RUN) {
          await wiring.rest();
          rested = wiring.now();
        }
      }
    } catch (error) {
      if (!signal.aborted && wiring.fatal(error)) {
        say("ended");
        return;
      }
    } finally {
      clearTimeout(watchdog);
      signal.removeEventListener("abort", abort);
    }
    if (signal.aborted) break;
    attempt += 1;
    const delay = backoff(attempt, wiring.random());
    say("waiting", wiring.now() + delay);
    await wiring.wait(delay, signal);
  }
}
