// The only file that names the browser's push messages: whether this browser takes them, and switching that on and off.

import { pushKey, subscribe, unsubscribe } from "./account.ts";

const WORKER = "/push-worker.js";

export function possible(): boolean {
  return window.isSecureContext && "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
}

/** The person said no to this browser itself, which no page can change. */
export function refused(): boolean {
  return Notification.permission === "denied";
}

async function current(): Promise<PushSubscription | null> {
  const registration = await navigator.serviceWorker.getRegistration();
  return (await registration?.pushManager.getSubscription()) ?? null;
}

/** Whether this browser takes messages, for whomever. */
export async function isOn(): Promise<boolean> {
  return possible() && (await current()) !== null;
}

/** Rejects where the browser or its person refuses. */
export async function switchOn(language: string): Promise<void> {
  if ((await Notification.requestPermission()) !== "granted") throw new Error("denied");
  const key = bytes(await pushKey());
  const registration = await register();
  const former = await registration.pushManager.getSubscription();
  // One that was made for another key of the centre's takes nothing any more.
  if (former && !same(former.options.applicationServerKey, key)) await former.unsubscribe();
  const made = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = made.toJSON();
  await subscribe({ endpoint: endpoint ?? "", p256dh: keys?.["p256dh"] ?? "", auth: keys?.["auth"] ?? "", language });
}

export async function switchOff(): Promise<void> {
  const made = await current();
  if (made === null) return;
  // The centre first: it must not go on sending to a browser that shows nothing.
  await unsubscribe(made.endpoint).catch(() => undefined);
  await made.unsubscribe();
}

interface Policy {
  createScriptURL(url: string): string;
}
interface Policies {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): Policy;
}

async function register(): Promise<ServiceWorkerRegistration> {
  // The page's policy takes scripts by a rule alone; this one lets through one name.
  const policies = (window as unknown as { trustedTypes?: Policies }).trustedTypes;
  const rules = { createScriptURL: (url: string) => (url === WORKER ? url : "") };
  const url = policies ? policies.createPolicy("push-worker", rules).createScriptURL(WORKER) : WORKER;
  await navigator.serviceWorker.register(url);
  return navigator.serviceWorker.ready;
}

function same(buffer: ArrayBuffer | null, key: Uint8Array): boolean {
  const other = new Uint8Array(buffer ?? new ArrayBuffer(0));
  return other.length === key.length && other.every((byte, at) => byte === key[at]);
}

function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
