// What who runs the centre does about the fleet: each act is an entry of the centre's log, with their name.

import { h } from "../dom.ts";
import type { FleetGateway } from "../model.ts";
import { qr } from "../qr.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { choose, field } from "./ask.ts";
import type { App } from "./parts.ts";

const words = texts.fleet;
/** Characters, as the centre takes them. */
const LABEL = 200;
const SETTINGS = 4096;
const HOUR = "3600";

export function askEnrol(app: App, done: () => void): void {
  const label = h("input", { type: "text", maxlength: LABEL, required: true, autocomplete: "off" });
  const valid = choose(Object.entries(words.valids), HOUR);
  app.ask.open({
    title: words.enrol,
    about: [words.enrolAbout],
    fields: [field(words.label, label, words.labelHint), field(words.valid, valid)],
    confirm: words.enrol,
    run: async () => {
      const { token, gateway, ends } = await app.fleet.enrol(label.value.trim(), Number(valid.value));
      done();
      const about = words.tokenAbout(gateway, time.full(ends));
      showOnce(app, { title: words.tokenTitle, about, secret: token, shown: `vitaltwin-agent enrol ${token}`, qrName: words.tokenQr });
      return words.created;
    },
  });
}

export async function askPageLink(app: App): Promise<void> {
  const patient = await choosePatient(app);
  if (patient === null) return;
  app.ask.open({
    title: words.pageLink,
    about: [words.pageLinkAbout],
    fields: [field(words.patient, patient)],
    confirm: words.pageLink,
    run: async () => {
      const link = await app.fleet.pageLink(patient.value);
      const name = patient.selectedOptions[0]?.textContent ?? "";
      showOnce(app, { title: words.pageLinkTitle, about: words.pageLinkShown(name), secret: link, shown: link, qrName: words.pageLinkQr, also: spokenLink(link) });
      return words.pageLinkTitle;
    },
  });
}

export async function askAssign(app: App, gateway: FleetGateway, done: () => void): Promise<void> {
  const patient = await choosePatient(app);
  if (patient === null) return;
  const addresses = h("textarea", { rows: 4, spellcheck: false, autocomplete: "off", class: "mono" });
  // The list is whole: what is there already is not to be lost by leaving it out.
  const listed = () => {
    addresses.value = gateway.devices.filter((one) => one.patient === patient.value).map((one) => one.address).join("\n");
  };
  const [first] = gateway.devices;
  if (first) patient.value = first.patient;
  patient.addEventListener("change", listed);
  listed();
  app.ask.open({
    title: words.assign,
    about: [words.assignAbout(gateway.label || gateway.id)],
    fields: [field(words.patient, patient), field(words.addresses, addresses, words.addressesHint)],
    confirm: words.assign,
    run: async () => {
      const list = addresses.value.split(/[\s,;]+/).filter((one) => one !== "");
      await app.fleet.assign(patient.value, gateway.id, list);
      done();
      return words.assigned;
    },
  });
}

export function askConfigure(app: App, gateway: FleetGateway, settings: string, done: () => void): void {
  const written = h("textarea", { rows: 8, maxlength: SETTINGS, spellcheck: false, autocomplete: "off", class: "mono" });
  written.value = settings;
  app.ask.open({
    title: words.configure,
    about: [words.configureAbout(gateway.label || gateway.id)],
    fields: [field(words.settings, written, words.settingsHint)],
    confirm: words.send,
    run: async () => {
      const number = await app.fleet.configure(gateway.id, written.value);
      done();
      return words.sent(String(number));
    },
  });
}

export function askRevoke(app: App, gateway: FleetGateway, done: () => void): void {
  const sure = h("input", { type: "text", autocomplete: "off", spellcheck: false, required: true });
  app.ask.open({
    title: words.revoke,
    about: [words.revokeAbout(gateway.label || gateway.id, gateway.devices.length), h("p", { class: "mono" }, gateway.id)],
    fields: [field(words.revokeSure, sure)],
    confirm: words.revoke,
    run: async () => {
      if (sure.value.trim() !== gateway.id) throw new Error(words.revokeWrong);
      await app.fleet.revoke(gateway.id);
      done();
      return words.revokedNow;
    },
  });
}

/** Null: there is nobody to choose, which is said. */
async function choosePatient(app: App): Promise<HTMLSelectElement | null> {
  try {
    const people = await app.fleet.people();
    if (people.length > 0) return choose(people.map(({ patient, name }) => [patient, name === "" ? patient : `${name} (${patient})`]), people[0]!.patient);
    app.say(words.noPatients);
    app.ask.open({ title: words.patient, about: [words.noPatients], fields: [], confirm: null });
  } catch (error) {
    app.ask.open({ title: words.patient, about: [error instanceof Error ? error.message : String(error)], fields: [], confirm: null });
  }
  return null;
}

interface Once {
  readonly title: string;
  readonly about: string;
  readonly secret: string;
  /** How it stands as text: a command perhaps. */
  readonly shown: string;
  readonly qrName: string;
  /** What stands below the code. */
  readonly also?: Node;
}

/** For a patient at the other end of a telephone: where to go and what to type. */
function spokenLink(link: string): Node {
  const { origin, pathname, searchParams } = new URL(link);
  const code = searchParams.get("code") ?? "";
  return h("p", { class: "spoken-link" }, words.pageLinkSpoken(origin + pathname), " ", h("strong", { class: "mono", translate: "no" }, code.toUpperCase()));
}

/** After the dialog that asked for it has closed. Nothing of it stays in the document once this one is closed. */
function showOnce(app: App, { title, about, secret, shown, qrName, also }: Once): void {
  const copy = async () => {
    await navigator.clipboard.writeText(secret);
    app.say(words.copied);
  };
  const button = h("button", { class: "button", type: "button", onclick: () => void copy() }, words.copy);
  setTimeout(() => {
    app.ask.open({
      title,
      about: [about, h("p", { class: "command" }, h("code", { class: "once" }, shown)), qr(secret, qrName), h("p", { class: "hint" }, qrName), ...(also ? [also] : [])],
      fields: [h("div", { class: "buttons" }, button)],
      confirm: null,
    });
  }, 0);
}
