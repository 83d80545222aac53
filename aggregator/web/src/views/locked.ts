// A screen that nobody sat at for a while: nothing of a patient, how to see again, and whether something rings. The
// sound goes on; so little is told that it may be read by anybody who passes.

import { signInWithPasskey } from "../account.ts";
import { h, show, text } from "../dom.ts";
import type { Session } from "../model.ts";
import { possible } from "../passkey.ts";
import { texts } from "../texts.ts";
import { otherWays } from "./otherways.ts";
import type { View } from "./parts.ts";

const words = texts.locked;

export class LockedView implements View {
  readonly title = words.title;
  readonly root: HTMLElement;
  readonly #person = h("p", { class: "lead" });
  readonly #rings = h("p", { class: "notice bad", role: "alert", hidden: true });
  readonly #failed = h("p", { class: "notice bad", role: "alert", hidden: true });

  /** `opened`: this browser has a session that may see again. */
  constructor(opened: () => void) {
    const open = h("button", { class: "button primary wide", type: "button", onclick: () => void this.#open(opened) }, texts.passkey.button);
    show(open, possible());
    this.root = h(
      "section",
      { class: "sheet" },
      h("h1", { tabindex: "-1" }, words.title),
      this.#person,
      this.#rings,
      this.#failed,
      open,
      otherWays(opened),
      h("p", {}, words.how),
      h("form", { method: "post", action: "/sign-out" }, h("button", { class: "button", type: "submit" }, texts.tools.signOut)),
      h("p", { class: "fine" }, texts.disclaimerLong),
    );
  }

  tell(session: Session): void {
    text(this.#person, words.lead(session.person));
    const { high, medium, low } = session.ringing;
    const waiting = high + medium + low;
    show(this.#rings, waiting > 0);
    text(this.#rings, words.rings(high, waiting));
  }

  update(): void {}

  async #open(opened: () => void): Promise<void> {
    show(this.#failed, false);
    try {
      await signInWithPasskey();
      opened();
    } catch {
      text(this.#failed, texts.passkey.failed);
      show(this.#failed, true);
    }
  }
}
