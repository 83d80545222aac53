// Shows messages while no page is open, and says so: that is the proof that somebody was told. A message names no patient;
// whoever may know opens the page and signs in. Imports nothing that the page does, so that it is one file.

import { push as german } from "./texts/de.push.ts";
import { push as english } from "./texts/en.push.ts";

interface Message {
  readonly word: string;
  readonly language: string;
  readonly at_us: number;
  readonly tag: string;
  readonly priority: string;
  readonly duty: string;
  readonly test_data: boolean;
}

// The types of workers and of pages do not go together in one program: these few are all that is used.
interface Waiting extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Pushed extends Waiting {
  readonly data: { json(): unknown } | null;
}
interface Clicked extends Waiting {
  readonly notification: Notification;
}
interface Tab {
  focus(): Promise<unknown>;
}
interface Worker {
  readonly registration: ServiceWorkerRegistration;
  readonly clients: { matchAll(of: object): Promise<readonly Tab[]>; openWindow(url: string): Promise<unknown> };
  skipWaiting(): Promise<void>;
  addEventListener(name: string, listener: (event: never) => void): void;
}
const worker = self as unknown as Worker;

async function confirm(word: string, opened: boolean): Promise<void> {
  const body = JSON.stringify({ word, opened });
  await fetch("/push/shown", { method: "POST", headers: { "content-type": "application/json" }, body, keepalive: true }).catch(() => undefined);
}

async function display(message: Message): Promise<void> {
  const words = message.language === "de" ? german : english;
  const title = message.priority === "test" ? words.test : words.title(message.priority, message.duty);
  const time = new Date(message.at_us / 1000).toLocaleTimeString(message.language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const body = `${message.test_data ? `${words.testData} · ` : ""}${words.body(time)}`;
  // Again and again while nobody answers, but one of a call on the screen.
  const how: NotificationOptions & { renotify: boolean } = { body, tag: message.tag, renotify: true, requireInteraction: true, lang: message.language, icon: "/favicon.svg", data: message.word };
  await worker.registration.showNotification(title, how);
  await confirm(message.word, false);
}

async function open(notification: Notification): Promise<void> {
  notification.close();
  const [tab] = await worker.clients.matchAll({ type: "window" });
  await Promise.all([tab ? tab.focus() : worker.clients.openWindow("/"), confirm(String(notification.data), true)]);
}

worker.addEventListener("install", () => void worker.skipWaiting());
worker.addEventListener("push", (event: Pushed) => {
  const message = event.data?.json() as Message | undefined;
  if (message) event.waitUntil(display(message));
});
worker.addEventListener("notificationclick", (event: Clicked) => event.waitUntil(open(event.notification)));
