// Runs clients of others, `oauth4webapi` and `dpop`, against the test target `dpop_clients`. The
// tokens are of a real authorization server, `oidc-provider`, which runs in this process.
//
// node check.mjs EXECUTABLE
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import { generateKeyPair, generateProof } from 'dpop';
import * as oauth from 'oauth4webapi';
import Provider from 'oidc-provider';

const AUDIENCE = 'https://api.example';
const ALGORITHMS = ['ES256', 'PS256', 'RS256'];
const MACHINE = { client_id: 'machine', client_secret: 'of a machine' };
const API = { client_id: 'api', client_secret: 'of the api' };
const INSECURE = { [oauth.allowInsecureRequests]: true };

// The service's nonces last from 5 to 10 minutes.
const NONCE_LIFETIME = 10 * 60;

/** How far this process, with its clients and its authorization server, is ahead of the time. */
let ahead = 0;
const realNow = Date.now;
Date.now = () => realNow() + ahead * 1000;

/** An authorization server that binds tokens and requires nonces. Returns its issuer. */
async function startProvider() {
  let answer;
  const server = createServer((request, response) => answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const noRedirect = { redirect_uris: [], response_types: [] };
  const provider = new Provider(issuer, {
    clients: [
      { ...MACHINE, ...noRedirect, grant_types: ['client_credentials'] },
      { ...API, ...noRedirect, grant_types: [] },
    ],
    cookies: { keys: ['of a test'] },
    enabledJWA: { dPoPSigningAlgValues: ALGORITHMS },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 1), requireNonce: () => true },
      introspection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(ctx, resource) {
          const accessTokenFormat = new URL(resource).pathname.slice(1);
          return { audience: AUDIENCE, scope: 'read', accessTokenFormat, accessTokenTTL: 3600 };
        },
      },
    },
  });
  provider.on('server_error', (ctx, error) => console.error(error));
  answer = provider.callback();
  return issuer;
}

/** Starts the service. Returns its URL, and that of its clock. It ends with this process. */
async function startService(executable, issuer) {
  const service = spawn(executable, [issuer, API.client_id, API.client_secret], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.on('exit', () => service.kill());
  const lines = [];
  for await (const line of createInterface({ input: service.stdout })) {
    lines.push(line);
    if (lines.length === 2) return lines;
  }
  throw new Error('the service has ended');
}

async function setAhead(seconds) {
  const { status } = await fetch(`${clock}/${seconds}`, { method: 'POST' });
  assert.equal(status, 204);
  ahead = seconds;
}

/** Sends a request, once more if the server wants a nonce. Returns the number of tries. */
async function withNonce(send) {
  try {
    return [await send(), 1];
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return [await send(), 2];
  }
}

/** A token of `oidc-provider`, bound by `oauth4webapi` if there is a handle. */
async function tokenFor(format, DPoP) {
  const client = { client_id: MACHINE.client_id };
  const secret = oauth.ClientSecretBasic(MACHINE.client_secret);
  const parameters = { resource: `${AUDIENCE}/${format}`, scope: 'read' };
  const [answer] = await withNonce(async () => oauth.processClientCredentialsResponse(
    server,
    client,
    await oauth.clientCredentialsGrantRequest(server, client, secret, parameters, {
      DPoP, ...INSECURE,
    }),
  ));
  assert.equal(answer.token_type, DPoP ? 'dpop' : 'bearer');
  return answer.access_token;
}

/** All by `oauth4webapi`: a token, the challenge for a nonce, a retry, and the nonce kept. */
async function checkOauth4webapi() {
  for (const format of ['jwt', 'opaque']) {
    for (const algorithm of ALGORITHMS) {
      const key = await oauth.generateKeyPair(algorithm);
      const DPoP = oauth.DPoP({ client_id: MACHINE.client_id }, key);
      const token = await tokenFor(format, DPoP);
      assert.equal(token.split('.').length, format === 'jwt' ? 3 : 1);
      for (const [path, method, tries] of [
        ['/me', 'GET', 2], ['/me?page=2#top', 'GET', 1], ['/me', 'POST', 1], ['/notes', 'GET', 1],
      ]) {
        const target = new URL(path, service);
        const [response, tried] = await withNonce(() => oauth.protectedResourceRequest(
          token, method, target, undefined, undefined, { DPoP, ...INSECURE },
        ));
        assert.deepEqual(await response.json(), { client: MACHINE.client_id });
        assert.equal(tried, tries);
      }
      console.log(`  ${algorithm}, ${format}: 200 after one challenge`);
    }
  }
}

/** Asks the service. Returns the status with the kind of the rejection, and the nonce. */
async function ask(token, proof, { method = 'GET', scheme = 'DPoP' } = {}) {
  const headers = { authorization: `${scheme} ${token}` };
  const response = await fetch(`${service}/me`, {
    method, headers: proof === undefined ? headers : { ...headers, dpop: proof },
  });
  const nonce = response.headers.get('dpop-nonce') ?? undefined;
  if (response.status === 200) return { answer: '200', nonce };
  const kind = response.headers.get('x-refused').replace(/^InvalidProof\((.*)\)$/, '$1');
  const challenge = response.headers.get('www-authenticate');
  const pattern = scheme === 'DPoP'
    ? /DPoP realm="api", error="(\w+)",.*, algs="RS256 /
    : /Bearer realm="api", error="(\w+)"/;
  const code = challenge.match(pattern)?.[1];
  return { answer: `${response.status} ${kind} ${code}`, nonce };
}

/** Proofs by `dpop`, and what is wrong with them. */
async function checkRefusals(format) {
  const key = await oauth.generateKeyPair('ES256');
  const otherKey = await generateKeyPair('ES256');
  const handle = (pair) => oauth.DPoP({ client_id: MACHINE.client_id }, pair);
  const token = await tokenFor(format, handle(key));
  const otherToken = await tokenFor(format, handle(key));
  const unbound = await tokenFor(format);
  const url = `${service}/me`;

  const first = await ask(token, await generateProof(key, url, 'GET', undefined, token));
  assert.equal(first.answer, '401 MissingNonce use_dpop_nonce');
  const { nonce } = first;
  assert.ok(nonce);
  const proof = (changes) => {
    const used = { key, url, method: 'GET', nonce, token, ...changes };
    return generateProof(used.key, used.url, used.method, used.nonce, used.token, used.claims);
  };
  const good = await proof({});
  assert.deepEqual(await ask(token, good), { answer: '200', nonce: undefined });

  const elsewhere = url.replace('127.0.0.1', 'localhost');
  const signed = await proof({});
  const bearer = { scheme: 'Bearer' };
  for (const [what, sent, wanted, request] of [
    ['a used proof', good, 'Replayed invalid_dpop_proof'],
    ['another key', await proof({ key: otherKey }), 'WrongKey invalid_token'],
    ['no proof', undefined, 'MissingProof invalid_dpop_proof'],
    ['two proofs', `${await proof({})}, ${await proof({})}`, 'Malformed invalid_dpop_proof'],
    ['another method', await proof({}), 'WrongMethod invalid_dpop_proof', { method: 'POST' }],
    ['another path', await proof({ url: `${service}/notes` }), 'WrongUrl invalid_dpop_proof'],
    ['another host', await proof({ url: elsewhere }), 'WrongUrl invalid_dpop_proof'],
    ['https', await proof({ url: url.replace('http', 'https') }), 'WrongUrl invalid_dpop_proof'],
    ['another token', await proof({ token: otherToken }), 'WrongTokenHash invalid_dpop_proof'],
    ['no ath', await proof({ token: undefined }), 'WrongTokenHash invalid_dpop_proof'],
    ['a changed signature', `${signed.slice(0, -4)}AAAA`, 'BadSignature invalid_dpop_proof'],
    ['a foreign nonce', await proof({ nonce: 'x' }), 'StaleNonce use_dpop_nonce'],
    ['as Bearer', await proof({}), 'InvalidToken(SenderConstrained) invalid_token', bearer],
  ]) {
    const { answer } = await ask(token, sent, request);
    assert.equal(answer, `401 ${wanted}`, what);
    console.log(`  ${format}, ${what}: ${answer}`);
  }
  const { answer } = await ask(unbound, await proof({ token: unbound }));
  assert.equal(answer, '401 UnboundToken invalid_token');
  assert.equal((await ask(unbound, undefined, bearer)).answer, '200');
  console.log(`  ${format}, an unbound token: ${answer}, and 200 as Bearer`);

  const unused = await proof({});
  await setAhead(ahead + 90);
  assert.equal((await ask(token, unused)).answer, '401 Expired invalid_dpop_proof');
  // The clients' clock is as far ahead as the service's clock, so only the nonce is old.
  await setAhead(ahead + NONCE_LIFETIME);
  const late = await ask(token, await proof({}));
  assert.equal(late.answer, '401 StaleNonce use_dpop_nonce');
  assert.notEqual(late.nonce, nonce);
  assert.equal((await ask(token, await proof({ nonce: late.nonce }))).answer, '200');
  console.log(`  ${format}, a stale nonce: ${late.answer}, and 200 with the next one`);
}

const issuer = await startProvider();
const [service, clock] = await startService(process.argv[2], issuer);
const identifier = new URL(issuer);
const metadata = await oauth.discoveryRequest(identifier, INSECURE);
const server = await oauth.processDiscoveryResponse(identifier, metadata);
console.log('oauth4webapi');
await checkOauth4webapi();
console.log('dpop');
for (const format of ['jwt', 'opaque']) await checkRefusals(format);
process.exit();
