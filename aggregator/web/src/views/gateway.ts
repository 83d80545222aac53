// One gateway of the fleet: a line that tells whether it needs a hand, and behind it everything about it and its devices.

import { fill, h, set, show, spoken, text } from "../dom.ts";
import type { FleetDevice, FleetGateway, GatewayAct, GatewayPast } from "../model.ts";
import { mayRunFleet } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { askAssign, askConfigure, askRevoke } from "./fleetacts.ts";
import { Fact, type App } from "./parts.ts";

const words = texts.fleet;

export class GatewayRow {
  readonly root = h("li", { class: "gateway" });
  readonly #app: App;
  readonly #look: () => void;
  readonly #details = h("details");
  readonly #mark = h("span", { class: "gateway-mark", "aria-hidden": "true" });
  readonly #label = h("strong", { class: "gateway-label" });
  readonly #needs = h("span", { class: "gateway-needs" });
  readonly #heard = h("span", { class: "gateway-heard hint" });
  readonly #devices = h("span", { class: "gateway-devices hint" });
  #body: Body | null = null;
  #shown: FleetGateway | null = null;

  /** `look`: the centre is asked anew. */
  constructor(app: App, look: () => void) {
    this.#app = app;
    this.#look = look;
    const summary = h("summary", { class: "gateway-line" }, this.#mark, this.#label, this.#needs, this.#heard, this.#devices);
    this.#details.append(summary);
    this.#details.addEventListener("toggle", () => this.#open());
    this.root.append(this.#details);
  }

  update(gateway: FleetGateway, now: number): void {
    this.#shown = gateway;
    const mood = gateway.revoked ? "revoked" : gateway.needs.length > 0 ? "needs" : "well";
    set(this.root, "class", `gateway ${mood}`);
    set(this.root, "data-gateway", gateway.id);
    text(this.#mark, { revoked: "×", needs: "!", well: "✓" }[mood]);
    text(this.#label, gateway.label || words.noName);
    text(this.#needs, mood === "revoked" ? words.revoked : mood === "well" ? words.well : gateway.needs.map(words.need).join(" · "));
    text(this.#heard, gateway.heard === null ? `${words.heard}: ${words.never}` : `${words.heard}: ${words.ago(time.span(now - gateway.heard))}`);
    text(this.#devices, words.devicesCount(gateway.devices.length));
    if (this.#details.open) this.#body?.update(gateway, now);
  }

  #open(): void {
    const gateway = this.#shown;
    if (!this.#details.open || gateway === null) return;
    if (this.#body === null) {
      this.#body = new Body(this.#app, gateway, this.#look);
      this.#details.append(this.#body.root);
    }
    this.#body.update(gateway, this.#app.now());
    void this.#body.load();
  }
}

class Body {
  readonly root = h("div", { class: "gateway-body" });
  readonly #app: App;
  readonly #look: () => void;
  readonly #id = new Fact("ID");
  readonly #line = new Fact(words.heard);
  readonly #certificate = new Fact(words.certificate);
  readonly #token = new Fact(words.token);
  readonly #version = new Fact(words.version);
  readonly #settings = new Fact(words.settingsState);
  readonly #receipt = new Fact(words.receipt);
  readonly #backlog = new Fact(words.backlog);
  readonly #doctor = h("div", { class: "gateway-doctor" });
  readonly #devices = h("ul", { class: "gateway-things" });
  readonly #acts = h("ol", { class: "gateway-acts" });
  readonly #buttons = h("div", { class: "buttons" });
  #gateway: FleetGateway;
  #past: GatewayPast | null = null;
  /** What was read belongs to settings of this number. */
  #number = -1;

  constructor(app: App, gateway: FleetGateway, look: () => void) {
    this.#app = app;
    this.#gateway = gateway;
    this.#look = look;
    const done = () => {
      look();
      void this.load();
    };
    const button = (label: string, act: () => void) => h("button", { class: "button", type: "button", onclick: act }, label, spoken(` ${gateway.label || gateway.id}`));
    this.#buttons.append(
      button(words.assign, () => void askAssign(app, this.#gateway, done)),
      button(words.configure, () => askConfigure(app, this.#gateway, this.#past?.settings ?? "", done)),
      button(words.revoke, () => askRevoke(app, this.#gateway, done)),
    );
    const facts = [this.#id, this.#line, this.#receipt, this.#backlog, this.#certificate, this.#token, this.#version, this.#settings];
    this.root.append(
      h("dl", { class: "facts" }, ...facts.map((one) => one.root)),
      h("div", { class: "gateway-part" }, h("h3", {}, words.doctor), this.#doctor),
      h("div", { class: "gateway-part" }, h("h3", {}, words.devices), this.#devices),
      h("div", { class: "gateway-part" }, h("h3", {}, words.acts), this.#acts),
      this.#buttons,
    );
  }

  update(gateway: FleetGateway, now: number): void {
    this.#gateway = gateway;
    const ago = (at: number | null) => (at === null ? words.never : words.ago(time.span(Math.max(0, now - at))));
    this.#id.update(gateway.id, "mono");
    this.#line.update(`${ago(gateway.heard)}, ${gateway.connectedBy === "" ? words.away : words.connectedBy(gateway.connectedBy)}`);
    this.#receipt.update(ago(gateway.lastReceipt));
    this.#backlog.update(words.records(gateway.backlog));
    this.#certificate.update(gateway.certificateEnds === null ? "" : time.full(gateway.certificateEnds), (gateway.certificateEnds ?? now + 1) <= now ? "bad" : "");
    this.#token.update(gateway.tokenEnds === null ? "" : time.full(gateway.tokenEnds), (gateway.tokenEnds ?? now + 1) <= now ? "bad" : "");
    this.#version.update(gateway.version || words.versionUnknown);
    this.#settings.update(settingsWords(gateway), gateway.outcome === "refused" || gateway.outcome === "rolled-back" ? "bad" : "");
    const findings = gateway.findings.map((one) =>
      h("li", { class: one.broken ? "bad" : "" }, h("strong", {}, one.check), ` ${one.found}`, one.remedy !== "" && h("span", { class: "hint" }, ` → ${one.remedy}`)),
    );
    const well = gateway.looked === null ? words.doctorNever : words.doctorWell(time.span(now - gateway.looked));
    // The gateway's own words.
    fill(this.#doctor, findings.length === 0 ? h("p", { class: "muted" }, well) : h("ul", { lang: "en" }, ...findings));
    const devices = gateway.devices.map((one) => deviceView(one, now));
    fill(this.#devices, ...(devices.length > 0 ? devices : [h("li", { class: "muted" }, words.noDevices)]));
    show(this.#buttons, mayRunFleet(this.#app.state) && !gateway.revoked);
    for (const [place, button] of [...this.#buttons.children].entries()) show(button as HTMLElement, place === 2 || gateway.enrolled);
    if (gateway.wanted !== this.#number || gateway.revoked !== this.#past?.gateway.revoked) void this.load();
  }

  async load(): Promise<void> {
    this.#number = this.#gateway.wanted;
    try {
      this.#past = await this.#app.fleet.past(this.#gateway.id);
    } catch (error) {
      fill(this.#acts, h("li", { class: "bad" }, error instanceof Error ? error.message : String(error)));
      return;
    }
    const { acts = [] } = this.#past ?? {};
    const newest = acts.find((one) => one.kind === "settings")?.number;
    fill(this.#acts, ...acts.map((one) => this.#act(one, one.number === newest)));
  }

  #act(one: GatewayAct, newest: boolean): HTMLElement {
    const settings = one.kind === "settings";
    const again = settings && !newest && mayRunFleet(this.#app.state) && !this.#gateway.revoked;
    const take = () => askConfigure(this.#app, this.#gateway, one.text, () => {
      this.#look();
      void this.load();
    });
    return h(
      "li",
      { "data-act": one.kind },
      h("span", {}, words.act(one.kind), settings && ` ${words.settingsNumber(String(one.number))}`),
      h("span", { class: "hint" }, ` ${words.by(one.by, time.full(one.at))}`),
      settings && h("pre", { class: "mono" }, one.text.trim() || words.settingsOwn),
      again && h("button", { class: "button small", type: "button", onclick: take }, words.takeUp, spoken(` ${words.settingsNumber(String(one.number))}`)),
    );
  }
}

/** Which settings are in force, and what became of those that were sent last. */
function settingsWords({ wanted, running, outcome, outcomeDetail }: FleetGateway): string {
  const name = (number: number) => (number === 0 ? words.settingsOwn : words.settingsNumber(String(number)));
  if (wanted === 0) return words.settingsOwn;
  const force = running === null ? "" : running === wanted ? words.settingsSame(name(running)) : words.settingsRuns(name(running), name(wanted));
  const state = running === wanted && outcome === "applied" ? "" : (words.outcome[outcome] ?? outcome);
  return [force || name(wanted), state, outcomeDetail].filter((part) => part !== "").join(": ");
}

function deviceView(one: FleetDevice, now: number): HTMLElement {
  const { clock } = one;
  const says = [
    words.link(one.link),
    one.battery !== null && words.battery(one.battery),
    one.worn !== null && (one.worn ? words.worn : words.notWorn),
    one.lastReading === null ? words.noReading : words.lastReading(time.span(now - one.lastReading)),
    one.lastReceipt !== null && words.deviceReceipt(time.span(now - one.lastReceipt)),
    clock !== null && words.clock(time.span(Math.abs(clock.ahead)), clock.ahead >= 0, time.number(clock.gains, 1)),
  ].filter((part) => part !== false);
  return h(
    "li",
    { class: one.needs.length > 0 ? "gateway-thing needs" : "gateway-thing", "data-device": one.address },
    h("strong", {}, one.name || one.model || words.unmet),
    one.model !== "" && one.name !== "" && h("span", { class: "hint" }, ` ${one.model}`),
    h("span", { class: "mono" }, ` ${one.address}`),
    h("span", { class: "hint" }, ` ${words.belongsTo(one.person || one.patient)}`),
    one.needs.length > 0 && h("span", { class: "gateway-needs" }, one.needs.map(words.need).join(" · ")),
    h("span", { class: "gateway-says" }, says.join(" · ")),
  );
}
