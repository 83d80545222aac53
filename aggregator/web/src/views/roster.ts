// Who is on duty in the teams of whoever looks; supervisors edit the document behind it. The centre checks and decides; this page
// shows what it says.

import { fill, h, reconcile, set, show, text } from "../dom.ts";
import type { Roster } from "../model.ts";
import { maySetRules } from "../store.ts";
import { texts } from "../texts.ts";
import { field } from "./ask.ts";
import { DutyPanel } from "./duty.ts";
import type { App, View } from "./parts.ts";

const words = texts.roster;

export class RosterView implements View {
  readonly title = words.title;
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #teams = h("div", { class: "teams" });
  readonly #views = new Map<string, Team>();
  readonly #none = h("p", { class: "muted", hidden: true }, words.noTeams);

  constructor(app: App) {
    this.#app = app;
    this.root = h("div", { class: "page rules" }, h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, words.title)), h("p", { class: "muted" }, words.about), this.#none, this.#teams);
    void app.shifts.load().catch((error: unknown) => app.say(error instanceof Error ? error.message : String(error)));
  }

  update(): void {
    const rosters = this.#app.shifts.all;
    show(this.#none, rosters?.length === 0);
    reconcile(
      this.#teams,
      this.#views,
      rosters ?? [],
      (roster) => roster.team,
      (roster) => new Team(this.#app, roster),
      (view, roster) => view.update(roster),
    );
  }
}

class Team {
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #team: string;
  readonly #panel: DutyPanel;
  readonly #document = h("textarea", { class: "rules-text", rows: 18, spellcheck: false, wrap: "off" });
  readonly #said = h("p", { class: "notice", role: "status", hidden: true });
  readonly #failed = h("p", { class: "notice bad", role: "alert", hidden: true });
  readonly #buttons: readonly HTMLButtonElement[];

  constructor(app: App, roster: Roster) {
    this.#app = app;
    this.#team = roster.team;
    this.#panel = new DutyPanel(app, roster.team);
    const button = (label: string, act: () => Promise<string>, main = false) => h("button", { class: main ? "button primary" : "button", type: "button", onclick: () => void this.#do(act) }, label);
    this.#buttons = [button(words.check, () => this.#check()), button(words.set, () => this.#set(), true)];
    this.#document.value = roster.document === "" ? words.example([]) : roster.document;
    this.root = h("div", {}, this.#panel.root);
    if (maySetRules(app.state)) {
      const body = h("div", { class: "duty" }, field(words.document(roster.team), this.#document, words.documentHint), h("div", { class: "buttons" }, ...this.#buttons), this.#said, this.#failed);
      this.root.append(h("details", { class: "roster-edit" }, h("summary", { "aria-label": `${words.edit}: ${roster.team}` }, words.edit), body));
    }
  }

  update(roster: Roster): void {
    this.#panel.update(roster);
  }

  async #check(): Promise<string> {
    const checked = await this.#app.shifts.check(this.#team, this.#document.value);
    return [words.fine(checked.gaps.length), ...checked.remarks].join("\n");
  }

  async #set(): Promise<string> {
    await this.#app.shifts.set(this.#team, this.#document.value);
    return words.inForce;
  }

  async #do(act: () => Promise<string>): Promise<void> {
    this.#tell(words.checking, "");
    set(this.root, "aria-busy", "true");
    for (const button of this.#buttons) button.disabled = true;
    let [said, failed] = ["", ""];
    try {
      said = await act();
    } catch (error) {
      failed = error instanceof Error ? error.message : String(error);
    }
    set(this.root, "aria-busy", null);
    for (const button of this.#buttons) button.disabled = false;
    this.#tell(said, failed);
  }

  #tell(said: string, failed: string): void {
    fill(this.#said, ...lines(said));
    show(this.#said, said !== "");
    text(this.#failed, failed);
    show(this.#failed, failed !== "");
  }
}

function lines(said: string): Node[] {
  return said.split("\n").map((line) => h("span", { class: "line" }, line));
}
