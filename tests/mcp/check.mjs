// Runs an MCP client, that of `@modelcontextprotocol/sdk`, against the example `mcp_server`. The
// tokens are of a real authorization server, `oidc-provider`, which runs in this process. Then runs
// what `@modelcontextprotocol/conformance` has for any server.
//
// node check.mjs EXECUTABLE
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request as forward } from 'node:http';
import { createInterface } from 'node:readline';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import Provider, { errors } from 'oidc-provider';

const REDIRECT = 'http://127.0.0.1:1/callback';
const CLIENT = { client_id: 'mcp-client', token_endpoint_auth_method: 'none' };
const SCOPES = ['notes:read', 'notes:write'];
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'check', version: '1' },
  },
};
// Other scenarios need tools, resources and prompts of the suite's own server, except
// `dns-rebinding-protection`. That one is for servers without authentication: it wants a page of
// the server's own origin to be accepted. Scenarios of authorization are for clients.
const CONFORMANCE = ['server-initialize', 'ping', 'tools-list'];

const listen = async (server) => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
};

/** An authorization server that issues tokens for `resources`. Returns its issuer. */
async function startProvider(resources) {
  let answer;
  const issuer = await listen(createServer((request, response) => answer(request, response)));
  const provider = new Provider(issuer, {
    clients: [{
      ...CLIENT,
      application_type: 'native',
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code'],
    }],
    cookies: { keys: ['of a test'] },
    pkce: { methods: ['S256'], required: () => true },
    async findAccount(ctx, id) {
      return { accountId: id, claims: () => ({ sub: id }) };
    },
    features: {
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(ctx, resource) {
          if (!resources.includes(resource)) throw new errors.InvalidTarget();
          return { audience: resource, scope: SCOPES.join(' '), accessTokenFormat: 'jwt' };
        },
      },
    },
  });
  provider.on('server_error', (ctx, error) => console.error(error));
  answer = provider.callback();
  return issuer;
}

/** Starts the example. Returns its URL. It ends with this process. */
async function startServer(executable, issuer) {
  const server = spawn(executable, {
    env: { ...process.env, ISSUER: issuer, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.on('exit', () => server.kill());
  for await (const line of createInterface({ input: server.stdout })) return line;
  throw new Error('the example has ended');
}

/** A browser whose user logs in and consents. Returns the authorization code. */
async function logIn(url) {
  const cookies = new Map();
  let next = { url, method: 'GET' };
  for (let step = 0; step < 20; step += 1) {
    const response = await fetch(next.url, {
      method: next.method,
      body: next.body,
      redirect: 'manual',
      headers: { cookie: [...cookies.values()].join('; ') },
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair] = cookie.split(';');
      cookies.set(pair.split('=')[0], pair);
    }
    const location = response.headers.get('location');
    if (location) {
      next = { url: new URL(location, next.url), method: 'GET' };
      if (next.url.href.startsWith(REDIRECT)) {
        const code = next.url.searchParams.get('code');
        assert.ok(code, next.url.href);
        return code;
      }
      continue;
    }
    const page = await response.text();
    const prompt = page.match(/name="prompt" value="(\w+)"/)?.[1];
    assert.ok(prompt, page);
    const form = { prompt, login: 'alice', password: 'x' };
    const action = new URL(page.match(/action="([^"]+)"/)[1], next.url);
    next = { url: action, method: 'POST', body: new URLSearchParams(form) };
  }
  throw new Error('the provider asks without end');
}

/** What the client stores, and the scopes of each of its authorization requests. */
class Store {
  requested = [];

  get redirectUrl() {
    return REDIRECT;
  }

  get clientMetadata() {
    return { redirect_uris: [REDIRECT] };
  }

  clientInformation() {
    return CLIENT;
  }

  tokens() {
    return this.saved;
  }

  saveTokens(tokens) {
    this.saved = tokens;
  }

  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }

  codeVerifier() {
    return this.verifier;
  }

  redirectToAuthorization(url) {
    this.requested.push(url.searchParams.get('scope'));
    this.authorizationUrl = url;
  }
}

/** Runs what needs a token, or a better one. The user logs in, and it runs again. */
async function authorized(store, transport, run) {
  await assert.rejects(run(transport), UnauthorizedError);
  await transport.finishAuth(await logIn(store.authorizationUrl));
}

const post = (url, body, headers = {}) => fetch(url, {
  method: 'POST',
  headers: {
    'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers,
  },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

/** What the specification asks of a server, seen without a client library. */
async function checkChallenges(url, issuer) {
  const { origin } = new URL(url);
  const metadataUrl = `${origin}/.well-known/oauth-protected-resource/mcp`;
  for (const headers of [{}, { authorization: 'Bearer a.b.c' }]) {
    const response = await post(url, INITIALIZE, headers);
    assert.equal(response.status, 401);
    const challenge = response.headers.get('www-authenticate');
    assert.ok(challenge.endsWith(`, scope="notes:read", resource_metadata="${metadataUrl}"`), challenge);
  }
  const response = await fetch(metadataUrl);
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), {
    resource: url,
    authorization_servers: [issuer],
    scopes_supported: SCOPES,
    bearer_methods_supported: ['header'],
    resource_name: 'Notes',
  });
  const inQuery = await post(`${url}?access_token=a.b.c`, INITIALIZE);
  assert.equal(inQuery.status, 401);
}

/** Discovery, a token, and a step-up in scope, all by the client. */
async function checkClient(url) {
  const store = new Store();
  const connect = (transport) => new Client({ name: 'check', version: '1' }).connect(transport);
  await authorized(store, new StreamableHTTPClientTransport(new URL(url), { authProvider: store }), connect);

  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: store });
  const client = new Client({ name: 'check', version: '1' });
  await client.connect(transport);
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map(({ name }) => name).sort(), ['add_note', 'list_notes']);
  await client.callTool({ name: 'list_notes' });
  assert.deepEqual(store.requested, ['notes:read']);

  const addNote = () => client.callTool({ name: 'add_note', arguments: { text: 'hello' } });
  await authorized(store, transport, addNote);
  assert.deepEqual(store.requested, ['notes:read', 'notes:read notes:write']);
  await addNote();
  const { content } = await client.callTool({ name: 'list_notes' });
  assert.equal(content[0].text, 'alice: hello');
  await client.close();
  return store.saved.access_token;
}

/** Calls as the revision 2026-07-28 has them, which the client of the SDK does not speak yet. */
async function checkNewestRevision(url, token) {
  const name = 'io.modelcontextprotocol';
  const version = '2026-07-28';
  const call = (tool, text) => post(url, {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: {
      name: tool,
      arguments: { text },
      _meta: {
        [`${name}/protocolVersion`]: version,
        [`${name}/clientInfo`]: { name: 'check', version: '1' },
        [`${name}/clientCapabilities`]: {},
      },
    },
  }, {
    authorization: `Bearer ${token}`,
    'mcp-protocol-version': version,
    'mcp-method': 'tools/call',
    'mcp-name': tool,
  });
  const listed = await call('list_notes');
  assert.equal(listed.status, 200);
  assert.match(await listed.text(), /alice: hello/);
  const refused = await call('add_note', 'again');
  assert.equal(refused.status, 403);
  const challenge = refused.headers.get('www-authenticate');
  assert.match(challenge, /error="insufficient_scope".* scope="notes:read notes:write"/);
  assert.match(challenge, /resource_metadata="http:/);
}

/** Calls that would add a note if the server and the check of its scopes read them differently. */
async function checkAmbiguousCalls(url, token) {
  const authorization = `Bearer ${token}`;
  const call = '"jsonrpc":"2.0","id":1,"method":"tools/call"';
  const list = '"params":{"name":"list_notes"}';
  const add = '"params":{"name":"add_note","arguments":{"text":"smuggled"}}';
  for (const [body, statuses] of [
    [`{${call},${add}}`, [403]],
    [`{${call},${list},${add}}`, [403]],
    [`{${call},${add},${list}}`, [200]],
    [`{"method":"ping",${call},${add}}`, [403]],
    [`[{${call},${add}}]`, [403]],
    [`{${call},"params":{"name":"add\\u005fnote","arguments":{"text":"smuggled"}}}`, [403]],
    [`{${call},${add}`, [400]],
  ]) {
    const response = await post(url, body, { authorization, 'mcp-protocol-version': '2025-11-25' });
    assert.ok(statuses.includes(response.status), `${response.status}: ${body}`);
    assert.ok(!(await response.text()).includes('smuggled'), body);
  }
}

/** A token of the same issuer for another resource. */
async function checkOtherResource(url, other) {
  const accepted = await post(url, INITIALIZE, { authorization: `Bearer ${await tokenFor(url)}` });
  assert.equal(accepted.status, 200);
  const refused = await post(url, INITIALIZE, { authorization: `Bearer ${await tokenFor(other)}` });
  assert.equal(refused.status, 401);
  assert.match(refused.headers.get('www-authenticate'), /error="invalid_token"/);
}

/** A token for reading alone, without a client library. */
async function tokenFor(resource) {
  const verifier = 'a'.repeat(43);
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  const url = new URL(`${issuer}/auth`);
  url.search = new URLSearchParams({
    client_id: CLIENT.client_id,
    redirect_uri: REDIRECT,
    response_type: 'code',
    scope: 'notes:read',
    resource,
    code_challenge: Buffer.from(digest).toString('base64url'),
    code_challenge_method: 'S256',
  });
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      client_id: CLIENT.client_id,
      redirect_uri: REDIRECT,
      grant_type: 'authorization_code',
      code: await logIn(url),
      code_verifier: verifier,
      resource,
    }),
  });
  assert.equal(response.status, 200);
  return (await response.json()).access_token;
}

/** The suite has no token, so a proxy adds one. */
async function checkConformance(url, token) {
  const target = new URL(url);
  const server = createServer((request, response) => {
    const authorization = `Bearer ${token}`;
    const headers = { ...request.headers, host: target.host, authorization };
    const { method, url: path } = request;
    const options = { host: target.hostname, port: target.port, path, method, headers };
    request.pipe(forward(options, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    }));
  });
  const proxy = await listen(server);
  const suite = 'node_modules/@modelcontextprotocol/conformance/dist/index.js';
  for (const scenario of CONFORMANCE) {
    const options = ['server', '--url', `${proxy}${target.pathname}`, '--scenario', scenario];
    const run = spawn(process.execPath, [suite, ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    run.stdout.on('data', (data) => { output += data; });
    const [code] = await once(run, 'close');
    assert.equal(code, 0, `${scenario}:\n${output}`);
    console.log(`conformance, ${scenario}: ${output.match(/Passed: [^\n]*/)?.[0]}`);
  }
  server.close();
}

const resources = ['https://other.example/mcp'];
const issuer = await startProvider(resources);
const url = await startServer(process.argv[2], issuer);
resources.push(url);

await checkChallenges(url, issuer);
console.log('401 and metadata');
const token = await checkClient(url);
console.log('the client of the SDK: discovery, a token, a step-up in scope');
await checkOtherResource(url, resources[0]);
console.log('a token for another resource');
const reading = await tokenFor(url);
await checkNewestRevision(url, reading);
console.log('the revision 2026-07-28');
await checkAmbiguousCalls(url, reading);
console.log('calls with two readings');
await checkConformance(url, token);
process.exit();
