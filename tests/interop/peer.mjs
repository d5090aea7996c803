// jose behind a pipe: a JSON request on each line in, a JSON answer on each line out.
import { webcrypto } from 'node:crypto'
import { createInterface } from 'node:readline'
import { SignJWT, importJWK, jwtVerify } from 'jose'

globalThis.crypto ??= webcrypto // not yet global in node 18

const operations = {
  async mint({ alg, jwk, typ, claims }) {
    const header = { alg, kid: jwk.kid, typ: typ ?? undefined }
    return { token: await new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(jwk, alg)) }
  },
  async verify({ alg, jwk, token, issuer, audience }) {
    const options = { algorithms: [alg], issuer, audience, requiredClaims: ['exp'] }
    const { payload, protectedHeader } = await jwtVerify(token, await importJWK(jwk, alg), options)
    return { claims: payload, header: protectedHeader }
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  const answer = await operations[request.op](request).catch((error) => ({
    error: `${error.code ?? error.name}: ${error.message}`,
    unsupported: error.code === 'ERR_JOSE_NOT_SUPPORTED',
  }))
  console.log(JSON.stringify(answer))
}
