// One's own sessions, passkeys and password: seen, ended, made and removed.

import { account, addPasskey, endSession, removePasskey, removePassword, testPush, unsubscribe, type Account } from "../account.ts";
import { h, show, text } from "../dom.ts";
import { possible } from "../passkey.ts";
import { language } from "../prefs.ts";
import * as push from "../push.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { field, type Ask } from "./ask.ts";
import { askPassword, askRecovery } from "./password.ts";

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
  const next = (label: string, follow: () => Promise<void>) =>
    h("button", { class: "button quiet small", type: "button", onclick: () => (ask.root.close(), void follow().catch(again)) }, label);
  const codes = texts.ways.password;
  const password = own.may_password && [
    h("h3", {}, codes.heading),
    own.password === null
      ? h("p", { class: "muted" }, codes.none)
      : h("p", {}, codes.since(ago(own.password.set_us), own.password.recovery)),
    h(
      "p",
      { class: "own-acts" },
      own.fresh && next(own.password === null ? codes.setFirst : codes.change, () => askPassword(ask)),
      own.fresh && own.password !== null && next(codes.newRecovery, () => askRecovery(ask)),
      own.password !== null && act(codes.remove, codes.about, removePassword),
    ),
  ];
  const messages = texts.ways.push;
  const said = h("p", { class: "notice", role: "status", hidden: true });
  const tell = (words: string) => {
    text(said, words);
    show(said, true);
  };
  const on = own.browsers !== null && (await push.isOn());
  const here = on
    ? act(messages.off, messages.about, push.switchOff)
    : h(
        "button",
        {
          class: "button quiet small",
          type: "button",
          onclick: () =>
            void push.switchOn(language()).then(
              () => (ask.root.close(), again()),
              () => tell(push.refused() ? messages.denied : messages.failed),
            ),
        },
        messages.on,
      );
  const tried = h(
    "button",
    {
      class: "button quiet small",
      type: "button",
      onclick: () => {
        tell(messages.trying);
        void testPush().then(
          (came) => tell(came.shown ? messages.shown : messages.notShown(came.said)),
          (error: unknown) => tell(error instanceof Error ? error.message : String(error)),
        );
      },
    },
    messages.test,
  );
  const browsers = own.browsers !== null && [
    h("h3", {}, messages.heading),
    h("p", { class: "muted" }, push.possible() ? messages.lead : messages.impossible),
    h("ul", { class: "own-list" }, ...own.browsers.map((one) => h("li", { class: "own-entry" }, h("p", { class: "hint" }, one.label), act(messages.remove, one.label, () => unsubscribe(one.id))))),
    h("p", { class: "own-acts" }, push.possible() && here, own.browsers.length > 0 && tried),
    said,
  ];
  const label = h("input", { type: "text", maxlength: LABEL, autocomplete: "off" });
  const may = possible() && own.fresh;
  ask.open({
    title: words.title,
    about: [],
    fields: [
      h("h3", {}, words.passkeys),
      passkeys.length === 0 ? h("p", { class: "muted" }, words.noPasskeys) : h("ul", { class: "own-list" }, ...passkeys),
      ...(may ? [field(words.label, label, words.labelHint)] : [h("p", { class: "hint" }, possible() ? words.notFresh : words.impossible)]),
      ...(password || []),
      ...(browsers || []),
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
