// The only file that names the browser's passkeys (WebAuthn): asking for one, making one. What goes over the line is
// JSON with bytes as base64url.

export interface Asked {
  readonly challenge: string;
  readonly host: string;
}

export interface ToMake extends Asked {
  readonly user: string;
  readonly name: string;
  readonly algorithms: readonly number[];
  readonly known: readonly string[];
}

/** Passkeys belong to names of hosts: at a bare address there are none. */
export function possible(): boolean {
  const bare = /^[\d.]+$|^\[/.test(location.hostname);
  return !bare && window.isSecureContext && typeof PublicKeyCredential === "function";
}

/** The person's answer with a passkey of theirs; rejects where they give none. */
export async function ask(asked: Asked): Promise<Record<string, string>> {
  const given = await navigator.credentials.get({
    publicKey: { challenge: bytes(asked.challenge), rpId: asked.host, userVerification: "required", timeout: 120_000 },
  });
  if (!(given instanceof PublicKeyCredential) || !(given.response instanceof AuthenticatorAssertionResponse)) throw new Error("no passkey");
  return {
    id: text(given.rawId),
    challenge: asked.challenge,
    client_data: text(given.response.clientDataJSON),
    authenticator: text(given.response.authenticatorData),
    signature: text(given.response.signature),
  };
}

/** A new passkey, kept by the person's device or key; rejects where they make none. */
export async function make(wanted: ToMake, brand: string): Promise<Record<string, string>> {
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: bytes(wanted.challenge),
      rp: { id: wanted.host, name: brand },
      user: { id: bytes(wanted.user), name: wanted.name, displayName: wanted.name },
      pubKeyCredParams: wanted.algorithms.map((alg) => ({ type: "public-key", alg })),
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
      excludeCredentials: wanted.known.map((id) => ({ type: "public-key", id: bytes(id) })),
      attestation: "none",
      timeout: 120_000,
    },
  });
  if (!(made instanceof PublicKeyCredential) || !(made.response instanceof AuthenticatorAttestationResponse)) throw new Error("no passkey");
  return {
    challenge: wanted.challenge,
    client_data: text(made.response.clientDataJSON),
    authenticator: text(made.response.getAuthenticatorData()),
  };
}

function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

function text(buffer: ArrayBuffer): string {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
