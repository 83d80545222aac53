// A password with a code of an authenticator app: signing in by it, setting it, and the recovery codes that are shown once.

import { newPassword, newRecovery, setPassword, signInWithPassword } from "../account.ts";
import { h, show, text } from "../dom.ts";
import { qr } from "../qr.ts";
import { texts } from "../texts.ts";
import { field, type Ask } from "./ask.ts";

const words = texts.ways.password;

/** A closed fold with the form in it, hidden until it is known that passwords open something here. */
export function passwordForm(done: () => void): HTMLElement {
  const name = h("input", { type: "text", autocomplete: "username", required: true, maxlength: 80, spellcheck: "false", autocapitalize: "off" });
  const password = h("input", { type: "password", autocomplete: "current-password", required: true });
  const code = h("input", { type: "text", autocomplete: "one-time-code", required: true, spellcheck: "false", autocapitalize: "off", maxlength: 30 });
  const failed = h("p", { class: "notice bad", role: "alert", hidden: true });
  const button = h("button", { class: "button primary wide", type: "submit" }, words.button);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    show(failed, false);
    button.disabled = true;
    try {
      await signInWithPassword(name.value, password.value, code.value);
      done();
    } catch (error) {
      text(failed, words.failed);
      if (error instanceof Error && error.message.startsWith("Too many")) text(failed, words.tooMany);
      show(failed, true);
      code.value = "";
      code.focus();
    } finally {
      button.disabled = false;
    }
  };
  const form = h(
    "form",
    { class: "fold-form", onsubmit: (event) => void submit(event) },
    field(words.name, name, words.nameHint),
    field(words.password, password),
    field(words.code, code, words.codeHint),
    failed,
    button,
  );
  return h("details", { class: "fold", hidden: true }, h("summary", {}, words.summary), form);
}

/** Sets a password or another one, and then shows the recovery codes. */
export async function askPassword(ask: Ask): Promise<void> {
  const learn = await newPassword();
  const password = h("input", { type: "password", autocomplete: "new-password", required: true, minlength: learn.shortest });
  const again = h("input", { type: "password", autocomplete: "new-password", required: true });
  const code = h("input", { type: "text", inputmode: "numeric", autocomplete: "one-time-code", required: true, maxlength: 8 });
  ask.open({
    title: words.title,
    about: [words.lead],
    fields: [
      field(words.choose, password, words.rules(learn.shortest)),
      field(words.again, again),
      h("h3", {}, words.app),
      h("p", { class: "hint" }, words.scan),
      qr(learn.uri, words.picture),
      h("p", { class: "hint" }, words.orType),
      h("p", { class: "secret" }, h("code", {}, learn.secret)),
      field(words.appCode, code),
    ],
    confirm: words.set,
    run: async () => {
      if (password.value !== again.value) throw new Error(words.differ);
      const codes = await setPassword(password.value, code.value).catch((error: unknown) => {
        throw new Error(why(error));
      });
      setTimeout(() => showRecovery(ask, codes));
      return words.done;
    },
  });
}

export async function askRecovery(ask: Ask): Promise<void> {
  showRecovery(ask, await newRecovery());
}

function showRecovery(ask: Ask, codes: readonly string[]): void {
  const list = h("ul", { class: "codes" }, ...codes.map((code) => h("li", {}, h("code", {}, code))));
  ask.open({ title: words.recoveryTitle, about: [words.recoveryLead], fields: [list], confirm: null });
}

function why(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  const unfit: Readonly<Record<string, string>> = words.unfit;
  return unfit[said] ?? said;
}
