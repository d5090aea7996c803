// keys.mjs DIR ALG... : for every algorithm a private ALG.jwk, another key of
// the same alg and kid in ALG.wrong.jwk, and one jwks.json to verify with.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const curves = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521', ES256K: 'secp256k1' }
const secret = ['d', 'p', 'q', 'dp', 'dq', 'qi']

function generate(alg) {
  if (alg.startsWith('HS')) return { kty: 'oct', k: randomBytes(alg.slice(2) / 8).toString('base64url') }
  const [type, options] = curves[alg] ? ['ec', { namedCurve: curves[alg] }]
    : /^(RS|PS)/.test(alg) ? ['rsa', { modulusLength: 2048 }]
    : ['ed25519', {}]
  return generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' })
}

const [dir, ...algs] = process.argv.slice(2)
const write = (name, value) => writeFileSync(join(dir, name), JSON.stringify(value), { mode: 0o600 })
const keys = algs.map((alg) => {
  const id = { alg, kid: `key-${alg}`, use: 'sig' }
  const key = { ...generate(alg), ...id }
  write(`${alg}.jwk`, key)
  write(`${alg}.wrong.jwk`, { ...generate(alg), ...id })
  return Object.fromEntries(Object.entries(key).filter(([name]) => !secret.includes(name)))
})
write('jwks.json', { keys })
