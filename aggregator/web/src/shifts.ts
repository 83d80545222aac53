// Who is on duty, as the centre says it: asked for once a minute, because a shift begins without anybody's act.

import type { Roster, Turn } from "./model.ts";

/** Milliseconds between two questions. */
const EVERY = 60_000;

/** The calls, so that this file names no transport. */
export interface RosterCalls {
  read(): Promise<Roster[]>;
  check(team: string, document: string): Promise<Roster>;
  set(team: string, document: string): Promise<Roster>;
  takeOver(team: string, turn: Turn): Promise<Roster>;
}

export class Shifts {
  /** Null until the centre answered for the first time. */
  all: readonly Roster[] | null = null;
  readonly #calls: RosterCalls;
  #asked = Number.NEGATIVE_INFINITY;

  constructor(calls: RosterCalls) {
    this.#calls = calls;
  }

  /** Asks again if it is time; `now` by any clock that goes on. What fails is asked again at the next turn. */
  keep(now: number): void {
    if (now - this.#asked < EVERY) return;
    this.#asked = now;
    void this.load().catch(() => {
      // The page says that there is no connection.
    });
  }

  async load(): Promise<void> {
    this.all = await this.#calls.read();
  }

  /** Nobody is signed in any more. */
  forget(): void {
    this.all = null;
    this.#asked = Number.NEGATIVE_INFINITY;
  }

  check(team: string, document: string): Promise<Roster> {
    return this.#calls.check(team, document);
  }

  async set(team: string, document: string): Promise<Roster> {
    return this.#put(await this.#calls.set(team, document));
  }

  async takeOver(team: string, turn: Turn): Promise<Roster> {
    return this.#put(await this.#calls.takeOver(team, turn));
  }

  #put(roster: Roster): Roster {
    this.all = (this.all ?? []).map((one) => (one.team === roster.team ? roster : one));
    return roster;
  }
}

/** Shifts that wait for `me` to take over. */
export function awaiting(rosters: readonly Roster[], me: string): { readonly team: string; readonly turn: Turn }[] {
  return rosters.flatMap(({ team, now }) => now.filter((turn) => turn.handover && turn.takenBy === "" && turn.able.includes(me)).map((turn) => ({ team, turn })));
}
