// The side of the patient's page: score, rhythm, devices, gateways and what became of their readings.

import { h, reconcile, set, show, spoken, text, toggle } from "../dom.ts";
import type { Device, Gateway, ScorePart, Twin } from "../model.ts";
import { news2 } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { Bar, capital, Fact, type App } from "./parts.ts";

function panel(title: string, id: string, ...children: Node[]): HTMLElement {
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id }, title), ...children);
}

/** The highest total of NEWS2. */
const NEWS2_MOST = 20;

/** The interval over what is missing is shown as such: a missing part is never taken as normal. */
export class ScorePanel {
  readonly root: HTMLElement;
  readonly #total = h("span", { class: "score-total", "aria-hidden": "true" });
  readonly #spoken = spoken("");
  readonly #range = h("span", { class: "score-range" });
  readonly #missing = h("p", { class: "hint" });
  readonly #parts = h("ul", { class: "score-parts" });
  readonly #views = new Map<string, PartView>();
  readonly #source = h("p", { class: "source" });
  readonly #none = h("p", { class: "muted" }, texts.score.none);
  readonly #others = h("p", { class: "hint" });
  readonly #body: HTMLElement;

  constructor() {
    const track = h("span", { class: "score-track", "aria-hidden": "true" }, this.#range);
    this.#body = h("div", {}, h("p", { class: "score-head" }, this.#total, this.#spoken, track), this.#missing, this.#parts, this.#source, this.#others);
    this.root = panel(texts.score.title, "panel-score", this.#none, this.#body);
  }

  update(twin: Twin | null): void {
    const score = news2(twin);
    show(this.#none, score === null);
    show(this.#body, score !== null);
    if (!score) return;
    text(this.#total, texts.score.total(score.low, score.high));
    text(this.#spoken, texts.score.spoken(score.low, score.high));
    this.#range.style.left = `${(score.low / NEWS2_MOST) * 100}%`;
    this.#range.style.width = `max(6px, ${((score.high - score.low) / NEWS2_MOST) * 100}%)`;
    text(this.#missing, texts.score.missing(score.parts.filter((part) => part.points === null).length));
    reconcile(this.#parts, this.#views, score.parts, (part) => part.name, (part) => new PartView(part), (view, part) => view.update(part));
    text(this.#source, score.source);
    const others = (twin?.scores ?? []).filter((other) => other !== score);
    text(this.#others, others.map((other) => texts.score.other(other.name, other.low, other.high)).join(" · "));
    set(this.#others, "title", others.map((other) => other.source).join("\n"));
  }
}

class PartView {
  readonly root = h("li", { class: "score-part" });
  readonly #value = h("span", { class: "part-value" });
  readonly #points = h("span", { class: "part-points" });

  constructor(part: ScorePart) {
    this.root.append(h("span", { class: "part-name" }, texts.score.part(part.name)), this.#value, this.#points);
  }

  update(part: ScorePart): void {
    const missing = part.points === null;
    set(this.root, "class", `score-part ${missing ? "missing" : `points-${part.points}`}`);
    const value = part.value === null ? "" : time.number(part.value, part.value % 1 === 0 ? 0 : 1);
    text(this.#value, missing ? part.missingReason || texts.score.missingPart : value);
    text(this.#points, part.points === null ? "?" : String(part.points));
    set(this.#points, "title", part.points === null ? texts.score.missingPart : texts.score.points(part.points));
  }
}

export class RhythmPanel {
  readonly root: HTMLElement;
  readonly #finding = h("p", { class: "finding" });
  readonly #bar = new Bar();
  readonly #cut = h("span", { class: "cut" });
  readonly #facts = h("p", { class: "hint" });
  readonly #source = h("p", { class: "source" });
  readonly #scale: HTMLElement;

  constructor() {
    this.#bar.root.append(this.#cut);
    this.#bar.root.classList.add("with-cut");
    this.#scale = h("div", {}, this.#bar.root, this.#facts);
    this.root = panel(texts.rhythm.title, "panel-rhythm", this.#finding, this.#scale, this.#source);
  }

  update(twin: Twin | null): void {
    const rhythm = twin?.rhythm ?? null;
    text(this.#finding, rhythm && rhythm.finding !== "" ? capital(rhythm.finding) : texts.rhythm.none);
    const beyond = rhythm?.entropy != null && rhythm.entropy > rhythm.cut;
    toggle(this.#finding, "beyond", beyond);
    show(this.#scale, rhythm !== null && rhythm.entropy !== null);
    text(this.#source, rhythm?.source ?? "");
    if (!rhythm || rhythm.entropy === null) return;
    // The cut stands at 60 % of the track whatever the entropy's scale is.
    const full = rhythm.cut > 0 ? rhythm.cut / 0.6 : 1;
    this.#bar.update(rhythm.entropy / full);
    this.#cut.style.left = "60%";
    toggle(this.#bar.root, "beyond", beyond);
    const entropy = texts.rhythm.scale(time.number(rhythm.entropy, 2), time.number(rhythm.cut, 2));
    text(this.#facts, `${entropy} · ${texts.rhythm.beats(rhythm.beats)}`);
  }
}

export class DevicesPanel {
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #none = h("p", { class: "muted" }, texts.devices.none);
  readonly #list = h("ul", { class: "devices" });
  readonly #views = new Map<string, DeviceView>();

  constructor(app: App) {
    this.#app = app;
    this.root = panel(texts.devices.title, "panel-devices", this.#none, this.#list);
  }

  update(twin: Twin | null): void {
    const devices = twin?.devices ?? [];
    show(this.#none, devices.length === 0);
    show(this.#list, devices.length > 0);
    const key = (device: Device) => `${device.stream}/${device.source}`;
    reconcile(this.#list, this.#views, devices, key, () => new DeviceView(), (view, device) => view.update(device, this.#app.now()));
  }
}

/** Below this a battery is marked; the centre's own limit raises the alert. */
const BATTERY_MARK = 20;

class DeviceView {
  readonly root = h("li", { class: "device" });
  readonly #name = h("span", { class: "device-name" });
  readonly #model = h("span", { class: "device-model" });
  readonly #battery = h("span", { class: "battery" });
  readonly #fill = h("span", { class: "battery-fill", "aria-hidden": "true" });
  readonly #charge = h("span", { class: "battery-text" });
  readonly #facts = h("span", { class: "hint" });

  constructor() {
    this.#battery.append(spoken(`${texts.devices.battery} `), h("span", { class: "battery-body", "aria-hidden": "true" }, this.#fill), this.#charge);
    this.root.append(h("span", { class: "device-head" }, this.#name, this.#battery), this.#model, this.#facts);
  }

  update(device: Device, now: number): void {
    text(this.#name, device.name || device.address || texts.devices.unnamed);
    text(this.#model, device.model);
    show(this.#model, device.model !== "");
    text(this.#charge, device.battery === null ? texts.devices.batteryUnknown : time.percent(device.battery / 100));
    this.#fill.style.width = `${device.battery ?? 0}%`;
    toggle(this.#battery, "low", device.battery !== null && device.battery <= BATTERY_MARK);
    toggle(this.#battery, "unknown", device.battery === null);
    const reading =
      device.lastReading === null ? texts.devices.noReading : texts.devices.lastReading(time.span(now - device.lastReading));
    const facts = [texts.devices.link(device.link), reading];
    if (device.contact !== null) facts.splice(1, 0, texts.devices.contact(device.contact));
    text(this.#facts, facts.join(" · "));
    toggle(this.root, "off", device.contact === false);
    set(this.root, "title", device.address === "" ? null : `${device.address}, ${texts.devices.source(device.source)}`);
  }
}

export class GatewaysPanel {
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #none = h("p", { class: "muted" }, texts.gateways.none);
  readonly #list = h("ul", { class: "gateways" });
  readonly #views = new Map<string, GatewayView>();

  constructor(app: App) {
    this.#app = app;
    this.root = panel(texts.gateways.title, "panel-gateways", this.#none, this.#list);
  }

  update(twin: Twin | null): void {
    const gateways = twin?.gateways ?? [];
    show(this.#none, gateways.length === 0);
    show(this.#list, gateways.length > 0);
    const key = (gateway: Gateway) => `${gateway.gateway}/${gateway.stream}`;
    reconcile(this.#list, this.#views, gateways, key, () => new GatewayView(), (view, gateway) => view.update(gateway, this.#app.now()));
  }
}

/** Where each reading of this gateway is: nothing disappears without a number. */
class GatewayView {
  readonly root = h("li", { class: "gateway" });
  readonly #name = h("span", { class: "device-name" });
  readonly #heard = h("span", { class: "heard" });
  readonly #bar = new Bar();
  readonly #decoded = new Fact(texts.gateways.decoded);
  readonly #applied = new Fact(texts.gateways.applied);
  readonly #buffer = new Fact(texts.gateways.buffer);
  readonly #lost = new Fact(texts.gateways.lost);
  readonly #duplicated = new Fact(texts.gateways.duplicated);
  readonly #quarantined = new Fact(texts.gateways.quarantined);

  constructor() {
    const facts = [this.#decoded, this.#applied, this.#buffer, this.#lost, this.#duplicated, this.#quarantined];
    this.root.append(
      h("span", { class: "device-head" }, this.#name, this.#heard),
      this.#bar.root,
      h("dl", { class: "facts tight" }, ...facts.map((fact) => fact.root)),
    );
  }

  update(gateway: Gateway, now: number): void {
    text(this.#name, gateway.gateway);
    const age = gateway.lastHeartbeat === null ? null : time.span(now - gateway.lastHeartbeat);
    const heard = age === null ? texts.gateways.neverHeard : texts.gateways.heard(age);
    text(this.#heard, gateway.silent ? `${texts.gateways.silent}, ${heard}` : heard);
    toggle(this.#heard, "bad", gateway.silent);
    // Heartbeats tell what was decoded some seconds ago; live readings may be ahead of them.
    const expected = Math.max(gateway.decoded, gateway.applied);
    const share = expected === 0 ? 1 : gateway.applied / expected;
    this.#bar.update(share);
    set(this.#bar.root, "title", texts.gateways.share(time.percent(share)));
    const count = (value: number) => time.number(value, 0);
    this.#decoded.update(count(gateway.decoded));
    this.#applied.update(count(gateway.applied));
    this.#buffer.update(count(gateway.bufferRecords));
    this.#lost.update(count(gateway.declaredLost), gateway.declaredLost > 0 ? "bad" : "");
    this.#duplicated.update(count(gateway.duplicated));
    this.#quarantined.update(count(gateway.quarantined), gateway.quarantined > 0 ? "bad" : "");
  }
}
