// A certified OpenID provider, set up for the tests: http on a free port of 127.0.0.1, storage in
// memory.
//
// Its first line has its addresses: {"issuer": …, "control": …}. It ends when its standard input
// closes, so it never outlives the test.
//
// Clients register themselves (RFC 7591). A user logs in by entering a name, and is asked for
// consent. Access tokens are JWTs (RFC 9068) for the audience https://api.example. The resource
// (RFC 8707) is that with the algorithm appended: https://api.example/ES256. The scope `sid` puts
// the session ID into them, for clients whose logout tokens have it.
//
// With `opaque` in place of the algorithm, they are opaque.
//
// POST to `control`/rotate replaces all keys at once, unannounced: the old ones are gone, the new ones sign.
// POST to `control`/stop closes the provider's port, and `control`/start opens it again.
import { generateKeyPair } from 'node:crypto';
import { createServer } from 'node:http';
import { promisify } from 'node:util';

import Provider from 'oidc-provider';

const AUDIENCE = 'https://api.example';
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];

/** What the provider remembers. It outlives the provider's keys. */
const storage = new Map();

class Storage {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model} ${id}`;
  }

  async upsert(id, payload) {
    storage.set(this.key(id), payload);
  }

  async find(id) {
    return storage.get(this.key(id));
  }

  async findByUid(uid) {
    return [...storage.values()].find((payload) => payload.kind === this.model && payload.uid === uid);
  }

  async consume(id) {
    storage.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    storage.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, payload] of storage) {
      if (payload.grantId === grantId && key.startsWith(`${this.model} `)) storage.delete(key);
    }
  }
}

const generate = promisify(generateKeyPair);

async function makeKeys() {
  const pairs = await Promise.all([
    generate('rsa', { modulusLength: 2048 }),
    generate('ec', { namedCurve: 'P-256' }),
    generate('ed25519'),
  ]);
  return pairs.map(({ privateKey }, i) => ({
    ...privateKey.export({ format: 'jwk' }), alg: ALGORITHMS[i], use: 'sig',
  }));
}

function makeProvider(issuer, keys) {
  const provider = new Provider(issuer, {
    adapter: Storage,
    jwks: { keys },
    cookies: { keys: ['of a test'] },
    pkce: { methods: ['S256'], required: () => true },
    claims: { openid: ['sub'], email: ['email'] },
    async findAccount(ctx, id) {
      return { accountId: id, claims: () => ({ sub: id, email: `${id}@example.com` }) };
    },
    async extraTokenClaims(ctx, token) {
      const sid = token.scope?.split(' ').includes('sid') && ctx.oidc.entities.AuthorizationCode?.sid;
      return sid ? { sid } : undefined;
    },
    features: {
      devInteractions: { enabled: true },
      registration: { enabled: true },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo(ctx, resource) {
          const ttl = 60 * 60;
          if (resource === `${AUDIENCE}/opaque`) {
            return { audience: AUDIENCE, scope: 'read', accessTokenFormat: 'opaque', accessTokenTTL: ttl };
          }
          const alg = ALGORITHMS.find((alg) => resource === `${AUDIENCE}/${alg}`);
          if (!alg) throw new Error('no such resource');
          return {
            audience: AUDIENCE,
            scope: 'read sid',
            accessTokenFormat: 'jwt',
            accessTokenTTL: ttl,
            jwt: { sign: { alg } },
          };
        },
      },
    },
  });
  for (const event of ['server_error', 'backchannel.error']) {
    provider.on(event, (ctx, error) => console.error(event, error));
  }
  return provider;
}

const listen = (server) => new Promise((resolve) => {
  server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`));
});

// The provider gives notices by console.info; standard output is for one line.
console.info = console.error;

let answer;
const server = createServer((request, response) => answer(request, response));
const issuer = await listen(server);
// The next keys are made ahead, so that they are there at once.
let next = makeKeys();
async function rotate() {
  const keys = await next;
  next = makeKeys();
  answer = makeProvider(issuer, keys).callback();
}
await rotate();

const stop = () => new Promise((resolve) => {
  server.close(resolve);
  server.closeAllConnections();
});
const start = () => new Promise((resolve) => {
  server.listen(new URL(issuer).port, '127.0.0.1', resolve);
});

const actions = { '/rotate': rotate, '/stop': stop, '/start': start };
const control = await listen(createServer(async (request, response) => {
  const action = request.method === 'POST' && actions[request.url];
  if (!action) {
    response.writeHead(404).end();
    return;
  }
  await action();
  response.end();
}));

process.stdin.resume().on('end', () => process.exit());
process.stdout.write(`${JSON.stringify({ issuer, control })}\n`);
