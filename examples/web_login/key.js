// The key that the session of this browser is bound to (RFC 9449). It is in IndexedDB, and nobody
// can export it: scripts of this page use it, but cannot read it.

const STORE = "keys";
const NAME = "session";
const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** Resolves to the result of a request to IndexedDB. */
const result = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

async function inStore(mode, work) {
  const opening = indexedDB.open("web_login", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await result(opening);
  try {
    const transaction = database.transaction(STORE, mode);
    const completed = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    const [found] = await Promise.all([result(work(transaction.objectStore(STORE))), completed]);
    return found;
  } finally {
    database.close();
  }
}

export const newKey = () => crypto.subtle.generateKey(ECDSA, false, ["sign", "verify"]);

/** The key of the session, if it is bound. All tabs share it. */
export const storedKey = () => inStore("readonly", (store) => store.get(NAME));

/** Stores the key of a new session. A session without a key has `null`. */
export const keep = (key) =>
  inStore("readwrite", (store) => (key ? store.put(key, NAME) : store.delete(NAME)));

const text = (part) => new TextEncoder().encode(part);

const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** A proof for one request, and for its access token, if it has a bound one. */
export async function proof({ privateKey, publicKey }, { method, path, nonce, accessToken }) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", publicKey);
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
  const payload = {
    jti: crypto.randomUUID(),
    htm: method,
    htu: new URL(path, location.origin).href,
    iat: Math.floor(Date.now() / 1000),
    nonce,
    ath: accessToken && base64url(await crypto.subtle.digest("SHA-256", text(accessToken))),
  };
  const input = [header, payload].map((part) => base64url(text(JSON.stringify(part)))).join(".");
  return `${input}.${base64url(await crypto.subtle.sign(ECDSA, privateKey, text(input)))}`;
}
