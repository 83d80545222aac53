// What people do about alerts, asked for and done: the same way from the worklist, a card or the keyboard.

import { peopleSeen, silenceable } from "../care.ts";
import { h } from "../dom.ts";
import type { Alert } from "../model.ts";
import { displayName } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { choose, field, type Ask } from "./ask.ts";
import type { App } from "./parts.ts";

const words = texts.acts;

/** Characters, as the centre takes them. */
const NOTE = 1000;
const NAME = 100;
/** Minutes; twelve hours at most. */
const SPANS = [15, 30, 60, 120, 240, 480, 720];

export class Acts {
  readonly #app: App;
  readonly #ask: Ask;

  constructor(app: App, ask: Ask) {
    this.#app = app;
    this.#ask = ask;
  }

  acknowledge(alerts: readonly Alert[]): void {
    const note = h("textarea", { rows: 2, maxlength: NOTE });
    this.#ask.open({
      title: words.acknowledge,
      about: this.#about(alerts),
      fields: [field(words.note, note, words.noteHint)],
      confirm: alerts.length === 1 ? words.acknowledge : words.acknowledgeAll(alerts.length),
      run: async () => {
        for (const alert of alerts) await this.#app.acknowledge(alert.id, note.value.trim());
        return words.acknowledged;
      },
    });
  }

  comment(alert: Alert): void {
    const said = h("textarea", { rows: 3, maxlength: NOTE, required: true });
    this.#ask.open({
      title: words.comment,
      about: this.#about([alert]),
      fields: [field(words.commentText, said, words.commentHint)],
      confirm: words.commentSave,
      run: async () => {
        await this.#app.comment(alert.id, said.value.trim());
        return words.commented;
      },
    });
  }

  /** The next one of the ladder, now. Where nobody is, it says why. */
  escalate(alert: Alert): void {
    const duty = alert.nextDuty;
    const title = duty === null ? words.escalate : words.escalateTo(duty);
    if (duty === null) {
      const why = alert.state === "resolved" ? words.escalateOver : alert.snoozedUntil !== null ? words.escalateSilenced : words.escalateNobody;
      this.#ask.open({ title, about: [...this.#about([alert]), why], fields: [], confirm: null });
      return;
    }
    const briefing = h("textarea", { rows: 2, maxlength: NOTE });
    const means = alert.state === "acknowledged" ? [words.escalateAgain] : [];
    this.#ask.open({
      title,
      about: [...this.#about([alert]), ...means],
      fields: [field(words.escalateText, briefing, words.escalateHint)],
      confirm: title,
      run: async () => {
        await this.#app.escalate(alert.id, duty, briefing.value.trim());
        return words.escalated(duty);
      },
    });
  }

  /** Without asking: it can be given back the same way. */
  async take(alert: Alert): Promise<void> {
    await this.#attempt(words.take, alert, async () => {
      await this.#app.setOwner(alert.id, this.#me);
      return words.taken;
    });
  }

  assign(alerts: readonly Alert[]): void {
    const known = peopleSeen(this.#app.state.alerts.values(), this.#me);
    const owner = h("input", { type: "text", maxlength: NAME, required: true, autocomplete: "off", list: "people-seen", value: "" });
    const list = h("datalist", { id: "people-seen" }, ...known.map((name) => h("option", { value: name })));
    const give = async (name: string) => {
      for (const alert of alerts) await this.#app.setOwner(alert.id, name);
      return name === "" ? words.released : words.assigned(name);
    };
    const anybody = alerts.some((alert) => alert.owner !== "");
    const others = [{ label: words.takeAll, run: () => give(this.#me) }];
    if (anybody) others.push({ label: words.release, run: () => give("") });
    this.#ask.open({
      title: words.assign,
      about: this.#about(alerts),
      fields: [field(words.assignTo, owner, words.assignHint), list],
      confirm: words.assign,
      others,
      run: () => give(owner.value.trim()),
    });
  }

  silence(alert: Alert): void {
    if (!silenceable(alert, this.#app.state.alerts.values())) {
      this.#ask.open({ title: words.silence, about: [...this.#about([alert]), words.silenceNever], fields: [], confirm: null });
      return;
    }
    const now = this.#app.now();
    const reason = h("textarea", { rows: 2, maxlength: NOTE, required: true });
    const span = choose(
      SPANS.map((minutes) => [String(minutes * 60), words.until(time.span(minutes * 60_000), time.clock(now + minutes * 60_000))]),
      "3600",
    );
    this.#ask.open({
      title: words.silence,
      about: [...this.#about([alert]), words.silenceMeans],
      fields: [field(words.reason, reason, words.reasonHint), field(words.silenceFor, span)],
      confirm: words.silence,
      run: async () => {
        await this.#app.snooze(alert, Number(span.value), reason.value.trim());
        return words.silenced;
      },
    });
  }

  async wake(alert: Alert): Promise<void> {
    await this.#attempt(words.wake, alert, async () => {
      await this.#app.endSnooze(alert);
      return words.woken;
    });
  }

  /** An act without a dialog: one opens if it fails. */
  async #attempt(title: string, alert: Alert, run: () => Promise<string>): Promise<void> {
    try {
      this.#app.say(await run());
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#ask.open({ title, about: [...this.#about([alert]), texts.ask.failed(why)], fields: [], confirm: null });
    }
  }

  get #me(): string {
    return this.#app.state.session?.person ?? "";
  }

  #about(alerts: readonly Alert[]): Node[] {
    const line = (alert: Alert) =>
      h("p", { class: "ask-alert" }, h("strong", {}, displayName(this.#app.state, alert.patient)), " ", texts.condition(alert.condition), h("span", { class: "sub" }, ` ${alert.summary}`));
    return alerts.slice(0, 8).map(line).concat(alerts.length > 8 ? [h("p", {}, words.more(alerts.length - 8))] : []);
  }
}
