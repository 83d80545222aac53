// One's own sessions and passkeys: seen, ended, made and removed.

import { account, addPasskey, endSession, removePasskey, type Account } from "../account.ts";
import { h } from "../dom.ts";
import { possible } from "../passkey.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { field, type Ask } from "./ask.ts";

const words = texts.account;
/** Characters, as the centre keeps them. */
const LABEL = 60;

/** `now`: the centre's time. */
export async function askAccount(ask: Ask, now: () => number): Promise<void> {
  let own: Account;
  try {
    own = await account();
  } catch (error) {
    ask.open({ title: words.title, about: [error instanceof Error ? error.message : String(error)], fields: [], confirm: null });
    return;
  }
  const again = () => void askAccount(ask, now);
  const act = (label: string, about: string, run: () => Promise<void>) =>
    h(
      "button",
      {
        class: "button quiet small",
        type: "button",
        onclick: (event) => {
          const button = event.currentTarget as HTMLButtonElement;
          button.disabled = true;
          void run().then(
            () => {
              ask.root.close();
              again();
            },
            () => (button.disabled = false),
          );
        },
      },
      label,
      h("span", { class: "sr" }, `: ${about}`),
    );
  const ago = (us: number) => time.span(Math.max(0, now() - us / 1000));
  const sessions = own.sessions.map((one) =>
    h(
      "li",
      { class: "own-entry" },
      h("p", {}, h("strong", {}, one.here ? words.here : words.how(one.how)), " ", words.since(ago(one.began_us))),
      h("p", { class: "hint" }, `${one.address} · ${one.browser}`),
      !one.here && act(words.end, one.browser, () => endSession(one.id)),
    ),
  );
  const passkeys = own.passkeys.map((one) =>
    h(
      "li",
      { class: "own-entry" },
      h("p", {}, h("strong", {}, one.label || words.unnamed), " ", words.since(ago(one.added_us))),
      act(words.remove, one.label || words.unnamed, () => removePasskey(one.id)),
    ),
  );
  const label = h("input", { type: "text", maxlength: LABEL, autocomplete: "off" });
  const may = possible() && own.fresh;
  ask.open({
    title: words.title,
    about: [],
    fields: [
      h("h3", {}, words.passkeys),
      passkeys.length === 0 ? h("p", { class: "muted" }, words.noPasskeys) : h("ul", { class: "own-list" }, ...passkeys),
      ...(may ? [field(words.label, label, words.labelHint)] : [h("p", { class: "hint" }, possible() ? words.notFresh : words.impossible)]),
      h("h3", {}, words.sessions),
      h("ul", { class: "own-list own-sessions" }, ...sessions),
    ],
    confirm: may ? words.add : null,
    run: async () => {
      await addPasskey(label.value.trim(), texts.brand);
      return words.added;
    },
  });
}
