"""PyJWT behind a pipe: a JSON request on each line in, a JSON answer on each line out."""

import json
import sys

import jwt
from jwt.algorithms import get_default_algorithms


def load(jwk):
    # Without its alg, so that an algorithm PyJWT lacks is refused where it is used.
    return jwt.PyJWK({k: v for k, v in jwk.items() if k != "alg"}).key


def algorithms():
    return {"algorithms": sorted(get_default_algorithms())}


def mint(alg, jwk, claims, typ=None):
    headers = {name: value for name, value in (("kid", jwk.get("kid")), ("typ", typ)) if value}
    return {"token": jwt.encode(claims, load(jwk), algorithm=alg, headers=headers)}


def verify(alg, jwk, token, issuer, audience):
    decoded = jwt.decode_complete(
        token, load(jwk), algorithms=[alg], issuer=issuer, audience=audience, options={"require": ["exp"]}
    )
    return {"claims": decoded["payload"], "header": decoded["header"]}


OPERATIONS = {"algorithms": algorithms, "mint": mint, "verify": verify}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = OPERATIONS[request.pop("op")](**request)
    except Exception as error:
        unsupported = isinstance(error, NotImplementedError) or (
            isinstance(error, jwt.InvalidAlgorithmError) and "not supported" in str(error)
        )
        answer = {"error": f"{type(error).__name__}: {error}", "unsupported": unsupported}
    print(json.dumps(answer), flush=True)
