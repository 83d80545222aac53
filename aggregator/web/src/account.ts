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

export interface OwnBrowser {
  readonly id: string;
  readonly label: string;
}

export interface OwnPassword {
  readonly set_us: number;
  /** Recovery codes that are left. */
  readonly recovery: number;
}

export interface Account {
  readonly sessions: readonly OwnSession[];
  readonly passkeys: readonly OwnPasskey[];
  readonly password: OwnPassword | null;
  /** They may set one: passwords open something here, and they are no patient. */
  readonly may_password: boolean;
  /** Browsers of theirs that take messages; null: this centre sends none, or not to them. */
  readonly browsers: readonly OwnBrowser[] | null;
  /** Signed in so recently that a way to sign in may be made. */
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

export interface PushAddress {
  readonly endpoint: string;
  readonly p256dh: string;
  readonly auth: string;
  readonly language: string;
}

export async function pushKey(): Promise<string> {
  return ((await (await call("/push/key")).json()) as { key: string }).key;
}

export async function subscribe(address: PushAddress): Promise<void> {
  await call("/push/subscribe", address);
}

/** `id`: as the account lists it, or the address itself. */
export async function unsubscribe(id: string): Promise<void> {
  await call("/push/unsubscribe", { id });
}

/** Whether one of one's own browsers showed a message, and what else was said. */
export async function testPush(): Promise<{ shown: boolean; said: string }> {
  return (await (await call("/push/test")).json()) as { shown: boolean; said: string };
}

/** By what people sign in at this centre, beside passkeys and links. */
export interface Ways {
  readonly password: boolean;
  /** How the provider of identities is called; null: there is none. */
  readonly provider: string | null;
}

/** This browser leaves for the provider. */
export async function goToProvider(): Promise<void> {
  const { to } = (await (await call("/provider/begin")).json()) as { to: string };
  location.assign(to);
}

export async function ways(): Promise<Ways> {
  const answer = await fetch("/ways", { cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(LIMIT) });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()) as Ways;
}

/** Resolves once this browser has a new session. */
export async function signInWithPassword(name: string, password: string, code: string): Promise<void> {
  await call("/password/sign-in", { name, password, code });
}

export interface ToLearn {
  readonly secret: string;
  /** As an app reads it from a QR code. */
  readonly uri: string;
  readonly shortest: number;
}

/** A secret for an authenticator app, not yet in force. */
export async function newPassword(): Promise<ToLearn> {
  return (await (await call("/password/new")).json()) as ToLearn;
}

/** The recovery codes, which nobody sees again. */
export async function setPassword(password: string, code: string): Promise<readonly string[]> {
  return ((await (await call("/password/set", { password, code })).json()) as { recovery: string[] }).recovery;
}

export async function newRecovery(): Promise<readonly string[]> {
  return ((await (await call("/password/recovery")).json()) as { recovery: string[] }).recovery;
}

export async function removePassword(): Promise<void> {
  await call("/password/remove");
}

export async function endSession(id: string): Promise<void> {
  await call("/sessions/end", { id });
}

/** The session shows nothing of a patient any more, here or anywhere. */
export async function lock(): Promise<void> {
  await call("/lock");
}
