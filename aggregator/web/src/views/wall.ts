// For a screen across the room: who needs someone, large enough to read from a distance, and whether the page itself can
// be trusted. Nothing scrolls: what has no room is counted where everybody sees it, the most urgent never among it.

import { owners } from "../care.ts";
import { h, reconcile, set, show, text, toggle } from "../dom.ts";
import { allStale, channelOf, displayName, keyVital, lastData, worklistMemo, type Row } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { amount, shownAs } from "../units.ts";
import { Badge, type App, type View } from "./parts.ts";

const words = texts.wall;

/** Least size of a card, pixels; as many as fit are shown. */
const WIDTH = 400;
const HEIGHT = 190;
const FEW = 6;

export class WallView implements View {
  readonly title = words.title;
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #clock = h("p", { class: "wall-clock" });
  readonly #calm = h("p", { class: "wall-calm" });
  readonly #list = h("ul", { class: "wall-cards" });
  readonly #views = new Map<string, WallCard>();
  readonly #more = h("p", { class: "wall-more", hidden: true });
  readonly #rows = worklistMemo();

  constructor(app: App) {
    this.#app = app;
    this.root = h(
      "div",
      { class: "page wall" },
      h("div", { class: "wall-head" }, h("h1", { tabindex: "-1", class: "sr" }, words.title), this.#clock, this.#calm, h("a", { class: "wall-back", href: "#/" }, words.back)),
      this.#list,
      this.#more,
    );
  }

  update(): void {
    const { state } = this.#app;
    const now = this.#app.now();
    const all = this.#rows(state);
    const open = all.filter((row) => row.alerts.length > 0);
    const down = this.#app.lineDown();
    const silent = all.filter((row) => allStale(state.twins.get(row.patient) ?? null, now, down)).length;
    text(this.#clock, now > 0 ? time.clock(now) : "");
    text(this.#calm, words.watched(all.length, open.length, silent));
    const room = Math.max(1, Math.floor(this.#list.clientWidth / WIDTH)) * Math.max(1, Math.floor((window.innerHeight - this.#list.getBoundingClientRect().top - 60) / HEIGHT));
    const shown = open.slice(0, Math.max(1, room));
    reconcile(
      this.#list,
      this.#views,
      shown,
      (row) => row.patient,
      () => new WallCard(),
      (view, row) => view.update(row, this.#app),
    );
    // Few have more room each.
    set(this.#list, "class", open.length <= FEW ? "wall-cards few" : "wall-cards");
    const rest = open.slice(shown.length);
    show(this.#more, rest.length > 0);
    text(this.#more, words.more(rest.length, rest.filter((row) => row.alerts[0]?.priority === "high").length));
  }
}

class WallCard {
  readonly root: HTMLElement;
  readonly #badge = new Badge();
  readonly #name = h("h2");
  readonly #why = h("p", { class: "wall-why" });
  readonly #wait = h("p", { class: "wall-wait" });
  readonly #value = h("p", { class: "wall-value" });
  readonly #owner = h("p", { class: "wall-owner" });

  constructor() {
    this.root = h("li", {}, this.#badge.root, h("div", { class: "wall-words" }, this.#name, this.#why, this.#wait, this.#owner), this.#value);
  }

  update(row: Row, app: App): void {
    const [top] = row.alerts;
    if (!top) return;
    const now = app.now();
    const twin = app.state.twins.get(row.patient) ?? null;
    set(this.root, "class", `wall-card ${top.priority} ${top.state}`);
    this.#badge.update(top);
    text(this.#name, displayName(app.state, row.patient));
    const others = row.alerts.length - 1;
    text(this.#why, `${texts.condition(top.condition)}${others > 0 ? ` ${words.others(others)}` : ""}`);
    const waits = time.span(now - top.raised);
    text(this.#wait, top.state === "active" ? texts.alerts.waiting(waits) : texts.worklist.acknowledgedBy(top.acknowledgedBy, time.span(now - (top.acknowledged ?? now))));
    const names = owners(row.alerts);
    text(this.#owner, names.length === 0 ? words.nobody : names.join(", "));
    const kind = keyVital(twin, row.alerts);
    const channel = kind === null ? null : channelOf(twin, kind);
    const stale = allStale(twin, now, app.lineDown());
    toggle(this.#value, "stale", stale);
    const last = lastData(twin);
    const value = kind === null || channel?.value == null ? "–" : `${texts.kindShort(kind)} ${amount(kind, channel.value)} ${shownAs(kind).unit}`;
    text(this.#value, stale && last !== null ? texts.worklist.stale(time.span(now - last)) : value);
  }
}
