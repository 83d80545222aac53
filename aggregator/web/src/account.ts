// How somebody signs in: calls to the page's own routes, which are no part of the contract.

import * as passkey from "./passkey.ts";

/** Longest wait for an answer. */
const LIMIT = 20_000;

export interface OwnSession {
  readonly id: string;
  readonly here: boolean;
  readonly how: string;
  readonly began_us: number;
  readonly used_us: number;
  readonly address: string;
  readonly browser: string;
}

export interface OwnPasskey {
  readonly id: string;
  readonly label: string;
  readonly added_us: number;
}

export interface Account {
  readonly sessions: readonly OwnSession[];
  readonly passkeys: readonly OwnPasskey[];
  /** Signed in so recently that a passkey may be made. */
  readonly fresh: boolean;
}

async function call(path: string, body?: unknown): Promise<Response> {
  const answer = await fetch(path, {
    method: "POST",
    headers: body === undefined ? {} : { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    credentials: "same-origin",
    signal: AbortSignal.timeout(LIMIT),
  });
  // In the centre's words.
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

/** One's own sessions and passkeys. */
export async function account(): Promise<Account> {
  const answer = await fetch("/sessions", { cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(LIMIT) });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()) as Account;
}

/** Resolves once this browser has a new session. */
export async function signInWithPasskey(): Promise<void> {
  const asked = (await (await call("/passkey/challenge")).json()) as passkey.Asked;
  await call("/passkey/sign-in", await passkey.ask(asked));
}

export async function addPasskey(label: string, brand: string): Promise<void> {
  const wanted = (await (await call("/passkey/new")).json()) as passkey.ToMake;
  await call("/passkey/add", { ...(await passkey.make(wanted, brand)), label });
}

export async function removePasskey(id: string): Promise<void> {
  await call("/passkey/remove", { id });
}

export async function endSession(id: string): Promise<void> {
  await call("/sessions/end", { id });
}

/** The session shows nothing of a patient any more, here or anywhere. */
export async function lock(): Promise<void> {
  await call("/lock");
}
