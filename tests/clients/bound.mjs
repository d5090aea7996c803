// oauth4webapi and dpop, two libraries for DPoP, against the example web_login: a session that is
// bound to a key, at login, refresh and a protected route.
//
// bound.mjs BASE: the example, with nonces.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";

// Node 18 has no global one.
globalThis.crypto ??= webcrypto;
const dpop = await import("dpop");
const oauth = await import("oauth4webapi");

const base = process.argv[2];
const passed = (what) => console.log(`ok ${what}`);
const insecure = { [oauth.allowInsecureRequests]: true };
const server = { issuer: base, token_endpoint: `${base}/refresh` };
const client = { client_id: "oauth4webapi" };

/** The answer to a login of alice, with a proof by `keys`. */
async function login(keys, nonce) {
  const proof = await dpop.generateProof(keys, `${base}/login`, "POST", nonce);
  const form = { username: "alice", password: "correct horse", binding: "both" };
  const headers = { DPoP: proof, "Sec-Fetch-Site": "same-origin" };
  return fetch(`${base}/login`, { method: "POST", headers, body: new URLSearchParams(form) });
}

/** The tokens of a refresh, with a proof if there is a handle. It learns the nonce. */
async function refresh(token, handle) {
  const options = { ...insecure, DPoP: handle };
  const answer = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), token, options);
  return oauth.processRefreshTokenResponse(server, client, answer);
}

const refused = (status, error) => (thrown) =>
  thrown.status === status && thrown.error === error;

const keys = await dpop.generateKeyPair("ES256");
const first = await login(keys);
assert.equal(first.status, 400);
assert.equal((await first.json()).code, "use_dpop_nonce");
const second = await login(keys, first.headers.get("DPoP-Nonce"));
assert.equal(second.status, 200);
assert.equal((await second.json()).token_type, "DPoP");
const cookies = second.headers.getSetCookie().join("\n");
let token = /__Host-refresh=([^;]+)/.exec(cookies)[1];

const handle = oauth.DPoP(client, keys);
await assert.rejects(refresh(token, handle), refused(400, "use_dpop_nonce"));
for (let number = 0; number < 3; number += 1) {
  const tokens = await refresh(token, handle);
  assert.equal(tokens.token_type, "dpop");
  assert.notEqual(tokens.refresh_token, token);
  token = tokens.refresh_token;
  const me = (access, options) =>
    oauth.protectedResourceRequest(access, "GET", new URL(`${base}/me`), undefined, undefined, {
      ...insecure,
      ...options,
    });
  const answer = await me(tokens.access_token, { DPoP: handle });
  const { claims } = await answer.json();
  assert.equal(claims.cnf.jkt, await handle.calculateThumbprint());
  assert.equal(claims.sub, "alice");
  const bearer = me(tokens.access_token, {});
  assert.equal((await bearer.catch((thrown) => thrown.response ?? thrown)).status, 401);
}
passed("oauth4webapi: refreshes a bound session, and calls a route with its access token");

await assert.rejects(refresh(token), refused(400, "invalid_dpop_proof"));
const thief = oauth.DPoP(client, await dpop.generateKeyPair("ES256"));
await assert.rejects(refresh(token, thief), refused(400, "invalid_grant"));
token = (await refresh(token, handle)).refresh_token;
assert.ok(token);
passed("oauth4webapi: without the key a refresh is refused, and the session goes on");
