// A patient's own page: today beside what is usual for them, their devices, with whom it is shared, what they tell, and
// what to do when something is wrong. Plain words and large type; no score, no alarm, nobody else.

import { fill, h, reconcile, set, show, text, toggle } from "../dom.ts";
import { NOT_BODY, NOT_TILES, TILE_ORDER } from "../kinds.ts";
import type { Access, Alert, Channel, Device, OwnRecord, PlatformShare, Twin } from "../model.ts";
import { isStale, lastData } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { amount, amountWithUnit, shownAs } from "../units.ts";
import { choose, field } from "./ask.ts";
import type { App, View } from "./parts.ts";

const words = texts.home;

/** Data older than this deserve a word, milliseconds. */
const OLD = 15 * 60_000;
/** Percent of charge below which a device asks to be charged. */
const LOW = 20;
/** Wire number of `vitaltwin.v1.FactKind`: what the patient reports. */
const REPORTED = 6;
/** SNOMED CT of `words.symptoms`, in their order: some of them bear upon alerts. */
const SYMPTOMS: readonly string[] = ["22253000", "29857009", "267036007", "404640003", "271594007", "80313002", "84229001", "", ""].map((code) => (code === "" ? "" : `http://snomed.info/sct|${code}`));
/** Looks that are shown at once; the others below a line that opens. */
const LOOKS = 6;
/** Characters, as the centre takes them. */
const TEXT = 1000;

export class HomeView implements View {
  readonly title = words.title;
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #name = h("p", { class: "home-name", hidden: true });
  readonly #state = h("p", { class: "home-state" });
  readonly #values = h("ul", { class: "home-values" });
  readonly #none = h("p", { class: "muted" }, words.noValues);
  readonly #devices = h("ul", { class: "home-list" });
  readonly #noDevices = h("p", { class: "muted" }, words.noDevices);
  readonly #shared = h("p");
  readonly #teams = h("ul", { class: "home-list" });
  readonly #platforms = h("ul", { class: "home-list home-platforms" });
  readonly #looks = h("ul", { class: "home-list", "aria-labelledby": "home-looks" });
  readonly #earlierLooks = h("ul", { class: "home-list" });
  readonly #earlier = h("details", { hidden: true }, h("summary", {}, words.looks.earlier), this.#earlierLooks);
  readonly #modelLines = h("ul", { class: "home-list" });
  readonly #models = h("details", { class: "home-part", hidden: true }, h("summary", {}, words.models.title), h("p", {}, words.models.about), this.#modelLines);
  readonly #noLooks = h("p", { class: "muted" });
  readonly #pause = h("button", { class: "button wide", type: "button" });
  readonly #withdraw = h("button", { class: "button quiet", type: "button", hidden: true }, words.withdraw);
  readonly #saved = h("p", { class: "notice", role: "status", hidden: true });
  readonly #cards = new Map<string, ValueCard>();
  readonly #lines = new Map<string, DeviceLine>();
  #own: OwnRecord | null = null;

  constructor(app: App) {
    this.#app = app;
    this.#pause.addEventListener("click", () => this.#askPause());
    this.#withdraw.addEventListener("click", () => this.#askWithdraw());
    const button = (label: string, act: () => void) => h("button", { class: "button primary wide", type: "button", onclick: act }, label);
    const part = (id: string, title: string, ...children: readonly (Node | string)[]) =>
      h("section", { class: "home-part", "aria-labelledby": id }, h("h2", { id }, title), ...children);
    this.root = h(
      "div",
      { class: "page home" },
      h("h1", { tabindex: "-1" }, words.title),
      this.#name,
      h("p", { class: "home-help" }, h("strong", {}, words.help), " ", words.helpMore),
      this.#state,
      part("home-today", words.today, this.#none, this.#values),
      part("home-tell", words.tell, h("p", {}, words.tellAbout), this.#saved, button(words.tellButton, () => this.#askReport())),
      part("home-devices", words.devices, this.#noDevices, this.#devices),
      part("home-shared", words.sharing, this.#shared, this.#teams, this.#platforms, h("p", {}, words.sharingMore), this.#pause, this.#withdraw),
      part("home-looks", words.looks.title, h("p", {}, words.looks.about), this.#noLooks, this.#looks, this.#earlier),
      this.#models,
      part("home-data", words.data, h("p", {}, words.dataAbout), button(words.dataButton, () => void this.#download())),
      part("home-wrong", words.wrong, h("ul", { class: "steps" }, ...words.wrongSteps.map((step) => h("li", {}, step)))),
      h("p", { class: "fine" }, texts.disclaimerLong),
    );
    void this.#load();
  }

  update(): void {
    const [twin] = this.#app.state.twins.values();
    const now = this.#app.now();
    const down = this.#app.lineDown();
    this.#updateState(twin ?? null, now, down);
    const channels = (twin?.channels ?? []).filter(({ kind, value }) => value !== null && !NOT_TILES.includes(kind) && !NOT_BODY.includes(kind));
    channels.sort((a, b) => place(a.kind) - place(b.kind));
    show(this.#none, channels.length === 0);
    reconcile(this.#values, this.#cards, channels, (one) => String(one.kind), () => new ValueCard(), (card, one) => card.update(one, now, down));
    const devices = twin?.devices ?? [];
    show(this.#noDevices, devices.length === 0);
    reconcile(this.#devices, this.#lines, devices, (one) => `${one.stream} ${one.source}`, () => new DeviceLine(), (line, one) => line.update(one, now));
  }

  #updateState(twin: Twin | null, now: number, down: boolean): void {
    const last = lastData(twin);
    const age = last === null ? null : now - last;
    const well = !down && age !== null && age < OLD;
    const paused = this.#own !== null && this.#own.sharing !== "given";
    toggle(this.#state, "bad", !well && !paused);
    text(this.#state, paused ? (this.#own?.sharing === "withdrawn" ? words.withdrawn : words.paused) : down ? words.noLine : age === null ? words.nothingYet : age < OLD ? words.fresh(time.span(age)) : words.old(time.span(age)));
  }

  async #load(): Promise<void> {
    try {
      this.#own = await this.#app.own();
      const { name, sharing, since, teams } = this.#own;
      text(this.#name, words.hello(name));
      show(this.#name, name !== "");
      const given = sharing === "given";
      const aside = sharing === "paused" ? words.pausedSince(time.full(since)) : words.withdrawnSince(time.full(since));
      text(this.#shared, given ? (teams.length > 0 ? words.sharedWith : words.sharedNobody) : aside);
      fill(this.#teams, ...teams.map((team) => h("li", {}, team)));
      fill(this.#platforms, ...this.#own.platforms.map((share) => this.#platform(share, given)));
      text(this.#pause, given ? words.pause : words.resume);
      show(this.#pause, sharing !== "withdrawn");
      show(this.#withdraw, sharing !== "withdrawn");
      toggle(this.#pause, "primary", !given);
      await this.#loadLooks(this.#own.patient);
      await this.#loadModels(this.#own.patient);
    } catch (error) {
      text(this.#shared, error instanceof Error ? error.message : String(error));
    }
    this.update();
  }

  /** One telemedicine service, what it sees, and the patient's own word on it. */
  #platform({ platform, services, kinds, stopped }: PlatformShare, given: boolean): HTMLElement {
    const parts = services.map((service) => words.platform.services[service]);
    const only = kinds.map((kind) => words.kind(kind) ?? texts.kind(kind));
    const sees = stopped ? words.platform.stopped(platform) : given ? words.platform.sees(platform, parts, only) : words.platform.aside(platform);
    const label = stopped ? words.platform.share(platform) : words.platform.stop(platform);
    const button = h("button", { class: "button quiet", type: "button", onclick: () => this.#askPlatform(platform, stopped, label) }, label);
    return h("li", {}, sees, " ", button);
  }

  #askPlatform(platform: string, stopped: boolean, label: string): void {
    const own = this.#own;
    if (own === null) return;
    this.#app.ask.open({
      title: label,
      about: [stopped ? words.platform.shareAbout : words.platform.stopAbout],
      fields: [],
      confirm: label,
      run: async () => {
        await this.#app.setPlatform(own.patient, platform, stopped);
        await this.#load();
        return stopped ? words.platform.shared(platform) : words.platform.stopped(platform);
      },
    });
  }

  async #loadLooks(patient: string): Promise<void> {
    let looks: Access[];
    try {
      looks = await this.#app.accesses(patient);
    } catch (error) {
      text(this.#noLooks, error instanceof Error ? error.message : String(error));
      return;
    }
    const now = this.#app.now();
    const lines = looks.map((look) => h("li", {}, lookWords(look), h("br"), h("span", { class: "hint" }, lookTimes(look, now))));
    text(this.#noLooks, words.looks.none);
    show(this.#noLooks, looks.length === 0);
    fill(this.#looks, ...lines.slice(0, LOOKS));
    fill(this.#earlierLooks, ...lines.slice(LOOKS));
    show(this.#earlier, lines.length > LOOKS);
  }

  /** Which model said what by which readings; hidden while none has said anything. */
  async #loadModels(patient: string): Promise<void> {
    // What cannot be loaded stays hidden: the rest of the page goes on.
    const all = await this.#app.alertsOf(patient).catch((): Alert[] => []);
    const alerts = all.filter(({ model }) => model !== "").sort((a, b) => b.raised - a.raised);
    show(this.#models, alerts.length > 0);
    fill(this.#modelLines, ...alerts.slice(0, LOOKS).map(modelLine));
  }

  #askPause(): void {
    const own = this.#own;
    if (own === null) return;
    const given = own.sharing === "given";
    this.#app.ask.open({
      title: given ? words.pause : words.resume,
      about: [given ? words.pauseAbout : words.resumeAbout],
      fields: [],
      confirm: given ? words.pause : words.resume,
      run: async () => {
        await this.#app.setSharing(own.patient, given ? "paused" : "given", false);
        await this.#load();
        return given ? words.paused : words.resumed;
      },
    });
  }

  #askWithdraw(): void {
    const own = this.#own;
    if (own === null) return;
    const sure = h("input", { type: "checkbox", required: true });
    const erase = h("input", { type: "checkbox" });
    this.#app.ask.open({
      title: words.withdraw,
      about: [words.withdrawAbout, h("ul", { class: "steps" }, ...words.withdrawSteps.map((step) => h("li", {}, step)))],
      fields: [h("label", { class: "check wide" }, erase, words.withdrawErase), h("label", { class: "check wide" }, sure, words.withdrawSure)],
      confirm: words.withdraw,
      run: async () => {
        await this.#app.setSharing(own.patient, "withdrawn", erase.checked);
        await this.#load();
        return words.withdrawn;
      },
    });
  }

  #askReport(): void {
    const own = this.#own;
    if (own === null) return;
    const feeling = choose(words.symptoms.map((name, n) => [String(n), name]), "0");
    const strength = choose(Array.from({ length: 11 }, (_, n) => [String(n), n === 0 ? words.noneAtAll : n === 10 ? words.worst : String(n)]), "3");
    const breath = choose([["", words.noAnswer], ...words.breathAnswers.map((answer, n) => [String(n), answer] as const)], "");
    const note = h("textarea", { rows: 3, maxlength: TEXT });
    this.#app.ask.open({
      title: words.tell,
      about: [h("strong", {}, words.help)],
      fields: [field(words.feeling, feeling), field(words.strength, strength, words.strengthHint), field(words.breath, breath, words.breathHint), field(words.note, note)],
      confirm: words.send,
      run: async () => {
        const now = this.#app.now();
        const base = { kind: REPORTED, code: "", unit: "", text: note.value.trim(), from: now, to: null };
        const named = words.symptoms[Number(feeling.value)] ?? "";
        const code = SYMPTOMS[Number(feeling.value)] ?? "";
        await this.#app.recordFact(own.patient, { ...base, id: crypto.randomUUID(), code, label: named, value: Number(strength.value), unit: "{0-10}" });
        if (breath.value !== "") {
          await this.#app.recordFact(own.patient, { ...base, id: crypto.randomUUID(), label: "mMRC dyspnoea scale", value: Number(breath.value), unit: "{0-4}", text: words.breathAnswers[Number(breath.value)] ?? "" });
        }
        text(this.#saved, words.sent);
        show(this.#saved, true);
        return words.sent;
      },
    });
  }

  /** Everything as lines of JSON in one file, made here: nothing of it lies at the centre. */
  async #download(): Promise<void> {
    const own = this.#own;
    if (own === null) return;
    show(this.#saved, false);
    const lines: string[] = [JSON.stringify({ type: "about", patient: own.patient, name: own.name, made: time.iso(this.#app.now()), teams: own.teams, platforms: own.platforms, sharing: own.sharing })];
    try {
      for (const look of await this.#app.accesses(own.patient)) lines.push(JSON.stringify({ type: "access", ...look, from: time.iso(look.from), last: time.iso(look.last) }));
      for (const alert of await this.#app.alertsOf(own.patient)) lines.push(alertLine(alert));
      for (const fact of await this.#app.facts(own.patient)) lines.push(JSON.stringify({ type: "fact", ...fact, from: time.iso(fact.from), recorded: time.iso(fact.recorded) }));
      for await (const { kind, source, times, values, quality } of this.#app.readings(own.patient)) {
        const { unit } = shownAs(kind);
        times.forEach((at, i) => lines.push(JSON.stringify({ type: "reading", kind, name: texts.kind(kind), at: time.iso(at), value: values[i], unit, source, quality: quality[i] ?? 0 })));
      }
    } catch (error) {
      this.#app.say(error instanceof Error ? error.message : String(error));
      text(this.#state, error instanceof Error ? error.message : String(error));
      return;
    }
    const url = URL.createObjectURL(new Blob(lines.map((line) => `${line}\n`), { type: "application/x-ndjson" }));
    const link = h("a", { href: url, download: "my-data.ndjson" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    this.#app.say(words.dataDone(lines.length));
  }
}

function place(kind: number): number {
  const at = TILE_ORDER.indexOf(kind);
  return at < 0 ? TILE_ORDER.length : at;
}

/** An alert as a line of the file: what it said, which model said it by what, and what people did. */
function alertLine({ condition, priority, raised, acknowledged, acknowledgedBy, acknowledgeNote, resolved, summary, plainSummary, model, modelHash, evidence, comments }: Alert): string {
  const when = (at: number | null) => (at === null ? null : time.iso(at));
  const read = evidence.map(({ kind, label, value, limit, avoidedAt, effective, contribution, known }) => ({ kind, name: kind === 0 ? "" : texts.kind(kind), label, value, limit, avoidedAt, at: time.iso(effective), contribution, known }));
  const said = comments.map(({ at, by, text }) => ({ at: time.iso(at), by, text }));
  return JSON.stringify({ type: "alert", condition, priority, raised: when(raised), acknowledged: when(acknowledged), acknowledgedBy, acknowledgeNote, resolved: when(resolved), summary, plainSummary, model, modelHash, read, said });
}

/** What was said, and by what. Sentences of the centre are in English. */
function modelLine({ raised, plainSummary, condition, model, evidence }: Alert): HTMLElement {
  const read = evidence.map(({ kind, label, value, effective }) => {
    const what = kind === 0 ? label : (words.kind(kind) ?? texts.kind(kind));
    const much = value === null ? "" : kind === 0 ? time.number(value, 1) : amountWithUnit(kind, value);
    return words.models.read(what, much, effective > 0 ? time.clock(effective) : "");
  });
  return h(
    "li",
    {},
    h("span", { lang: "en" }, plainSummary || texts.condition(condition)),
    h("br"),
    h("span", { class: "hint" }, words.models.line(`${time.day(raised)}, ${time.clock(raised)}`, model, read.join("; "))),
  );
}

/** "Ada (nurse, Ward 3) looked at your heartbeats a minute." */
function lookWords({ by, is, role, teams, part, kinds, named }: Access): string {
  const roles: Readonly<Record<string, string>> = words.looks.roles;
  const what = role === "" ? [] : [roles[role] ?? role, ...teams];
  const who = is === "person" ? (what.length === 0 ? by : `${by} (${what.join(", ")})`) : words.looks[is](by);
  const seen = kinds.map((kind) => words.kind(kind) ?? texts.kind(kind)).join(", ");
  return words.looks.line(who, words.looks.parts[part], seen, named);
}

function lookTimes({ from, last }: Access, now: number): string {
  const day = time.day(from) === time.day(now) ? words.looks.today : time.day(from);
  return words.looks.when(day, time.clock(from), last > from ? time.clock(last) : "");
}

/** One measure: how much, and whether that is usual for this person. */
class ValueCard {
  readonly root = h("li", { class: "home-value" });
  readonly #name = h("h3");
  readonly #number = h("span", { class: "home-number" });
  readonly #unit = h("span", { class: "home-unit" });
  readonly #usual = h("p", { class: "home-usual" });
  readonly #age = h("p", { class: "hint" });

  constructor() {
    this.root.append(this.#name, h("p", {}, this.#number, " ", this.#unit), this.#usual, this.#age);
  }

  update(channel: Channel, now: number, down: boolean): void {
    const { kind, value, band } = channel;
    text(this.#name, words.kind(kind) ?? texts.kind(kind));
    text(this.#number, value === null ? "–" : amount(kind, value));
    // The name says it in words.
    const { unit } = shownAs(kind);
    text(this.#unit, unit === "/min" ? "" : unit);
    const place = value === null || band === null ? "learning" : value < band.low ? "lower" : value > band.high ? "higher" : "usual";
    const range = band === null ? "" : `${amount(kind, band.low)}–${amount(kind, band.high)}`;
    text(this.#usual, words.usual(place, range));
    toggle(this.#usual, "aside", place === "lower" || place === "higher");
    const stale = isStale(channel, now, down);
    toggle(this.root, "stale", stale);
    text(this.#age, words.age(time.span(Math.max(0, now - channel.effective)), stale));
  }
}

class DeviceLine {
  readonly root = h("li", { class: "home-device" });
  readonly #name = h("strong");
  readonly #words = h("span");
  readonly #battery = h("span", { class: "home-battery" });

  constructor() {
    this.root.append(this.#name, this.#words, this.#battery);
  }

  update(device: Device, now: number): void {
    text(this.#name, device.name || device.model || words.aDevice);
    const link = device.link === "connected" ? words.connected : words.away(device.lastReading === null ? "" : time.span(now - device.lastReading));
    text(this.#words, device.contact === false ? `${link} ${words.notWorn}` : link);
    const { battery } = device;
    show(this.#battery, battery !== null);
    const low = battery !== null && battery <= LOW;
    toggle(this.#battery, "aside", low);
    text(this.#battery, battery === null ? "" : words.battery(battery, low));
    set(this.root, "data-battery", battery === null ? null : String(battery));
  }
}
