// Ways to sign in beside passkeys and links, as far as this centre has them.

import { goToProvider, ways } from "../account.ts";
import { h, show, text } from "../dom.ts";
import { texts } from "../texts.ts";
import { passwordForm } from "./password.ts";

const words = texts.ways.provider;

/** `done`: this browser has a new session. A provider takes the browser away instead. */
export function otherWays(done: () => void): HTMLElement {
  const failed = h("p", { class: "notice bad", role: "alert", hidden: true }, words.failed);
  const provider = h("button", { class: "button wide", type: "button", hidden: true });
  provider.addEventListener("click", () => {
    show(failed, false);
    provider.disabled = true;
    goToProvider().catch(() => {
      provider.disabled = false;
      show(failed, true);
    });
  });
  const password = passwordForm(done);
  void ways().then(
    (open) => {
      text(provider, words.button(open.provider ?? ""));
      show(provider, open.provider !== null);
      show(password, open.password);
    },
    () => undefined,
  );
  return h("div", { class: "other-ways" }, provider, failed, password);
}

/** What came of the provider, as its way back says. */
export function fromProvider(query: URLSearchParams): HTMLElement | null {
  const said = query.get("provider");
  if (said === "unknown") return h("p", { class: "notice bad", role: "alert" }, words.unknown, " ", h("code", {}, query.get("id") ?? ""));
  return said === null || said === "done" ? null : h("p", { class: "notice bad", role: "alert" }, words.failed);
}
