// Spends a one-time code, on a person's click only: a preview that merely loads the link burns nothing.
// The code leaves the address bar and the history before anything else happens.

import "./style.css";
import { signInWithPasskey } from "./account.ts";
import { h, show } from "./dom.ts";
import { possible } from "./passkey.ts";
import { applyTheme, onSystemTheme } from "./theme.ts";
import { texts } from "./texts.ts";
import { mark } from "./views/mark.ts";
import { fromProvider, otherWays } from "./views/otherways.ts";
import { howToGetIn } from "./views/signedout.ts";

const words = texts.signIn;
const query = new URLSearchParams(location.search);
const code = query.get("code") ?? "";
const error = query.get("error");
const idle = code === "" && error === null;
history.replaceState(null, "", location.pathname);
// The session's cookie is strict: it goes along only from a page of this site on.
if (query.get("provider") === "done") location.replace("/");
applyTheme();
onSystemTheme(() => undefined);

/** The code itself, or the whole link that carries it. */
function codeIn(pasted: string): string {
  const trimmed = pasted.trim();
  return URL.canParse(trimmed) ? (new URL(trimmed).searchParams.get("code") ?? trimmed) : trimmed;
}

const input = h("input", {
  id: "code",
  name: "code",
  type: code === "" ? "text" : "hidden",
  required: true,
  autocomplete: "off",
  spellcheck: "false",
  value: code,
});
const form = h(
  "form",
  { method: "post", action: "/sign-in", onsubmit: () => (input.value = codeIn(input.value)) },
  code === "" && h("label", { for: "code" }, words.code),
  input,
  h("button", { class: "button primary wide", type: "submit" }, words.button),
);

const failed = h("p", { class: "notice bad", role: "alert", hidden: true }, texts.passkey.failed);
const withPasskey = h("button", { class: "button primary wide", type: "button" }, texts.passkey.button);
withPasskey.addEventListener("click", () => {
  show(failed, false);
  signInWithPasskey().then(
    () => location.replace("/"),
    () => show(failed, true),
  );
});
const passkeys = code === "" && possible() ? [withPasskey, failed, h("p", { class: "or" }, texts.passkey.or)] : [];

const title = idle ? texts.signedOut.title : words.title;
const errors: Readonly<Record<string, string>> = words.errors;

document.title = texts.title(title);
document.body.classList.add("plain");
document.body.append(
  h("header", { class: "plain-top" }, h("span", { class: "wordmark" }, mark(), texts.brand), h("span", {}, texts.disclaimer)),
  h(
    "main",
    { class: "sheet" },
    h("h1", {}, title),
    error !== null && h("p", { class: "notice bad", role: "alert" }, errors[error] ?? words.errors.other),
    fromProvider(query),
    h("p", { class: "lead" }, code === "" ? words.noCode : words.lead),
    ...passkeys,
    form,
    code === "" && otherWays(() => location.replace("/")),
    ...(code === "" ? howToGetIn() : []),
    h("h2", {}, words.facts),
    h("ul", { class: "steps" }, ...words.steps.map((step) => h("li", {}, step))),
    h("p", { class: "fine" }, words.certificate),
    h("p", { class: "fine" }, texts.disclaimerLong),
  ),
);
if (code === "" && passkeys.length === 0) input.focus();
