// Signing in by a provider of identities, in a real Chromium, before the real centre: the provider is another maker's
// (`oidc-provider` by panva), over TLS, at another site than the page.
//
//   PAGE=https://localhost:... PORT=... CERT=... KEY=... node provider.mjs
//
//   PORT, CERT, KEY   where the provider listens on 127.0.0.1, and its certificate
//   Whoever it calls "u-7" is linked to Nina; nobody else is.
//
// Exit 0 if everything held, 1 with a sentence about what did not.

import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:https";
import Provider from "oidc-provider";
import { check, ensure, Failure, launch, listen, shots, SIZES, SOON, survey, until } from "./common.mjs";

const { PAGE = "", PORT = "", CERT = "", KEY = "", SHOTS = "", CHROMIUM = "/usr/bin/chromium" } = process.env;
const BOTH = [
  [SIZES[0], "light"],
  [SIZES[1], "dark"],
];
const complaints = [];

async function serve() {
  const provider = new Provider(`https://127.0.0.1:${PORT}`, {
    clients: [{ client_id: "centre", client_secret: "a secret: of 7%", redirect_uris: [`${PAGE}/provider/return`] }],
    pkce: { required: () => true },
    cookies: { keys: ["story"] },
  });
  const failed = [];
  for (const name of ["server_error", "grant.error", "authorization.error"]) provider.on(name, (_, error) => failed.push(`${name}: ${error.message} ${error.error_description ?? ""}`));
  const server = createServer({ key: readFileSync(KEY), cert: readFileSync(CERT), minVersion: "TLSv1.3" }, provider.callback());
  await new Promise((done) => server.listen(Number(PORT), "127.0.0.1", done));
  return { server, failed };
}

async function open(browser) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: SIZES[0], colorScheme: "light", locale: "de-DE" });
  await listen(context, complaints);
  const page = await context.newPage();
  const returns = [];
  page.on("request", (request) => {
    if (request.url().startsWith(`${PAGE}/provider/return`)) returns.push(request.url());
  });
  return { page, returns };
}

/** From the centre's page to the provider, and back as this one; `away`: what happens meanwhile. */
async function signIn(page, as, away = () => undefined) {
  await page.goto(`${PAGE}/sign-in`);
  await page.getByRole("button", { name: "Mit Klinik anmelden" }).press("Enter");
  await page.waitForURL(/^https:\/\/127\.0\.0\.1/, { timeout: SOON });
  await away();
  await page.locator("input[name=login]").fill(as);
  await page.locator("input[name=password]").fill("x");
  await page.locator("button[type=submit]").click();
  await page.locator("input[name=login]").waitFor({ state: "detached", timeout: SOON });
  await page.locator("button[type=submit]").click();
}

const refused = (page) => page.getByText(/^Diese Anmeldung ging nicht/).first().waitFor({ timeout: SOON });

async function main() {
  if (SHOTS !== "") mkdirSync(SHOTS, { recursive: true });
  shots.folder = SHOTS;
  const { server, failed } = await serve();
  const browser = await launch(CHROMIUM);
  try {
    const stranger = await open(browser);
    await stranger.page.goto(`${PAGE}/sign-in`);
    await stranger.page.getByRole("button", { name: "Mit Klinik anmelden" }).waitFor({ timeout: SOON });
    await survey(stranger.page, "sign-in-provider", BOTH);
    await signIn(stranger.page, "u-8");
    await stranger.page.getByText(/aber hier hat noch niemand gesagt, wer Sie sind/).waitFor({ timeout: SOON });
    ensure((await stranger.page.locator("[role=alert] code").innerText()) === "u-8", "who is unknown is not told as whom");
    ensure(!stranger.page.url().includes("u-8"), "whom the provider named stays in the address");
    await survey(stranger.page, "sign-in-unknown", BOTH);

    const nina = await open(browser);
    await signIn(nina.page, "u-7");
    await until(nina.page, "the worklist does not come", SOON, () => document.querySelectorAll(".row .row-link").length > 0);
    const session = await nina.page.evaluate(async () => (await fetch("/session")).json());
    ensure(session.person === "Nina" && session.role === "nurse", `signed in as ${JSON.stringify(session)}`);
    const cookies = await nina.page.context().cookies(PAGE);
    const names = cookies.map((of) => `${of.name} ${of.sameSite} ${of.httpOnly} ${of.secure}`);
    ensure(names.includes("__Host-vitaltwin Strict true true") && !names.some((name) => name.includes("provider")), `cookies: ${names}`);

    // The way back again, here and in another's browser (who would then be Nina, or make her somebody else): nothing.
    const [used] = nina.returns;
    await nina.page.goto(used);
    await refused(nina.page);
    await survey(nina.page, "sign-in-provider-failed", BOTH);
    await stranger.page.goto(used);
    await refused(stranger.page);
    // One that nobody spent yet, in browsers that were not sent with it: the first forgot that it was.
    const thief = await open(browser);
    await signIn(thief.page, "u-7", () => thief.page.context().clearCookies({ name: "__Host-vitaltwin-provider" }));
    await refused(thief.page);
    await stranger.page.goto(thief.returns[0]);
    await refused(stranger.page);
    await thief.page.context().close();
    // Still in, by the session that she had.
    await nina.page.goto(PAGE);
    await until(nina.page, "she is no longer signed in", SOON, () => document.querySelectorAll(".row .row-link").length > 0);
    ensure(failed.length === 0, `the provider complains: ${failed}`);
    // The provider's own pages want fonts from the open network, and an icon.
    await check(nina.page, "signed in", complaints.filter((words) => !/\b(401|403|404)\b|ERR_NAME_NOT_RESOLVED/.test(words)));
    console.log("a provider's nurse is in, its stranger is told as whom, and a way back is worth one sign-in of its own browser");
  } catch (error) {
    const pages = browser.contexts().flatMap((context) => context.pages());
    for (const [n, page] of pages.entries()) console.error(`tab ${n + 1}, ${page.url()}:\n${await page.innerText("body").catch(() => "")}\n`);
    for (const words of [...complaints, ...failed]) console.error(words);
    throw error;
  } finally {
    await browser.close();
    server.close();
    server.closeAllConnections();
  }
}

main().catch((error) => {
  console.error(error instanceof Failure ? `failed: ${error.message}` : error);
  process.exit(1);
});
