"""Drives jose, PyJWT, `gate` and `interop_mint` against each other: see run.sh.

check.py WORK GATE MINT: WORK holds node_modules and the venv; the two others are executables.
"""

import base64
import collections
import http.client
import json
import pathlib
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
WORK, GATE, MINT = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])

ALGORITHMS = (
    "HS256 HS384 HS512 RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 ES256K EdDSA Ed25519"
).split()
PEERS = {
    "jose": ["node", str(WORK / "peer.mjs")],
    "PyJWT": [str(WORK / "venv/bin/python"), str(HERE / "peer.py")],
}
# What a library cannot do, and why. Each entry is tried: one that works fails the run.
UNKNOWN = {
    ("jose", "ES256K"): "jose 6 is built on Web Cryptography, which has no secp256k1",
    ("PyJWT", "Ed25519"): "PyJWT 2 knows these signatures under the name EdDSA only",
}
# Names PyJWT has beyond ALGORITHMS, left out on purpose.
NOT_TESTED = {"none", "ES521"}  # unsigned; an unregistered alias of ES512

ISSUER, AUDIENCE = "https://issuer.example", "interop"
NOW = int(time.time())
COMMON = {
    "iss": ISSUER,
    "sub": "zoë",
    "name": "Ünïcødé 名前 🦀 \"quoted\" \\ / \u2028 \u0007",
    "ключ": "",
    "nested": {"a": {"b": [1, {"c": None}, [], {}], "é": True}, "empty": ""},
    "fractions": [0.1, -2.75, 3.141592653589793, 0.30000000000000004, 1.5e-7, 6.02e23],
    "integers": [0, -1, 2**53 - 1, -(2**53 - 1)],
}
# aud as a string and as an array, whole and fractional dates, without and with a typ.
VARIANTS = [
    (None, COMMON | {"aud": AUDIENCE, "iat": NOW, "nbf": NOW - 1, "exp": NOW + 600}),
    ("at+jwt", COMMON | {"aud": ["https://other.example", AUDIENCE], "iat": NOW - 1.25, "nbf": NOW - 0.5, "exp": NOW + 600.75}),
]
BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

COLUMNS = [
    "jose > gate",
    "PyJWT > gate",
    "changed: 401",
    "wrong key: 401",
    "mint > jose",
    "mint > PyJWT",
    "jose > PyJWT",
    "PyJWT > jose",
]

cells = collections.defaultdict(lambda: [0, 0])
failures = []


def check(alg, column, ok, detail=""):
    cells[alg, column][0 if ok else 1] += 1
    if not ok:
        failures.append(f"{alg} {column}: {detail}"[:400])


def same(one, other):
    """Equality in which 1, 1.0 and true differ."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def tampered(token):
    """The token with one character of its signature changed: first, middle, last.

    In the last one only the lowest bit changes, which for most lengths is padding:
    accepting it would make tokens malleable.
    """
    start = token.rindex(".") + 1
    for at in (start, (start + len(token)) // 2, len(token) - 1):
        yield token[:at] + BASE64URL[BASE64URL.index(token[at]) ^ 1] + token[at + 1 :]


class Peer:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def __call__(self, op, **request):
        self.process.stdin.write(json.dumps({"op": op, **request}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def mint(self, alg, jwk, typ, claims):
        return self("mint", alg=alg, jwk=jwk, typ=typ, claims=claims)

    def verify(self, alg, jwk, token):
        return self("verify", alg=alg, jwk=jwk, token=token, issuer=ISSUER, audience=AUDIENCE)

    def close(self):
        self.process.kill()
        self.process.wait()


class Gate:
    def __init__(self, *arguments):
        self.stderr = tempfile.TemporaryFile("w+", encoding="utf-8")
        command = [GATE, *arguments, "--issuer", ISSUER, "--audience", AUDIENCE, "--port", "0", "--explain"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.stderr, text=True)
        timer = threading.Timer(10, self.process.kill)
        timer.start()
        found = None
        for line in self.process.stdout:
            if found := re.search(r"http://(127\.0\.0\.1:\d+)", line):
                break
        timer.cancel()
        if not found:
            self.process.kill()
            sys.exit(f"gate did not start: {self.log()}")
        self.connection = http.client.HTTPConnection(found[1], timeout=10)
        self.refused = 0

    def get(self, token):
        self.connection.request("GET", "/claims", headers={"Authorization": f"Bearer {token}"})
        response = self.connection.getresponse()
        self.refused += response.status == 401
        return response.status, response.getheader("Content-Type", ""), response.read().decode()

    def log(self):
        self.stderr.seek(0)
        return self.stderr.read()

    def accepts(self, alg, column, token, claims):
        status, _, body = self.get(token)
        ok = status == 200 and same(json.loads(body), claims)
        check(alg, column, ok, f"{status} {body}")

    def refuses(self, alg, column, token):
        status, content_type, body = self.get(token)
        ok = status == 401 and content_type.startswith("application/problem+json")
        check(alg, column, ok, f"{status} {content_type} {body}")

    def close(self):
        self.process.kill()
        self.process.wait()


def known(answer, name, alg, column):
    """Whether to go on with the answer; holds UNKNOWN to what the library really does."""
    if (name, alg) in UNKNOWN:
        check(alg, column, answer.get("unsupported"), f"{name} is listed as not knowing it: {answer}")
        return False
    if "error" in answer:
        check(alg, column, False, answer["error"])
    return "error" not in answer


def verified(peer, name, alg, column, jwk, token, typ, claims):
    answer = peer.verify(alg, jwk, token)
    if not known(answer, name, alg, column):
        return
    header = answer["header"]
    ok = same(answer["claims"], claims) and (header["alg"], header["kid"]) == (alg, jwk["kid"])
    check(alg, column, ok and typ in (None, header.get("typ")), answer)
    answer = peer.verify(alg, jwk, list(tampered(token))[1])
    check(alg, column, "error" in answer, "accepts a changed signature")


def main(keys, peers, gates):
    subprocess.run(["node", WORK / "keys.mjs", keys, *ALGORITHMS], check=True)
    read = lambda name: json.loads((keys / name).read_text())
    public = {jwk["alg"]: jwk for jwk in read("jwks.json")["keys"]}
    gate = Gate("--jwks", keys / "jwks.json")
    gates.append(gate)

    for alg in ALGORITHMS:
        right, wrong = read(f"{alg}.jwk"), read(f"{alg}.wrong.jwk")
        for typ, claims in VARIANTS:
            for name, peer in peers.items():
                other = next(n for n in peers if n != name)
                minted = peer.mint(alg, right, typ, claims)
                if not known(minted, name, alg, f"{name} > gate"):
                    continue
                token = minted["token"]
                verified(peers[other], other, alg, f"{name} > {other}", public[alg], token, typ, claims)
                gate.accepts(alg, f"{name} > gate", token, claims)
                for changed in tampered(token):
                    gate.refuses(alg, "changed: 401", changed)
                gate.refuses(alg, "wrong key: 401", peer.mint(alg, wrong, typ, claims)["token"])

            command = [MINT, "--jwk", keys / f"{alg}.jwk", "--claims", json.dumps(claims, ensure_ascii=False)]
            mint = subprocess.run(command + (["--typ", typ] if typ else []), capture_output=True, text=True, encoding="utf-8")
            for name, peer in peers.items():
                column = f"mint > {name}"
                if mint.returncode:
                    check(alg, column, False, f"interop_mint: {mint.stderr.strip()}")
                else:
                    verified(peer, name, alg, column, public[alg], mint.stdout.strip(), typ, claims)

        if alg.startswith("HS"):
            secret = secrets.token_hex(64)
            (keys / "secret").write_text(secret)
            alone = Gate("--secret-file", keys / "secret", "--algorithm", alg)
            gates.append(alone)
            jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")}
            for name, peer in peers.items():
                alone.accepts(alg, f"{name} > gate", peer.mint(alg, jwk, typ, claims)["token"], claims)
                alone.refuses(alg, "wrong key: 401", peer.mint(alg, wrong, typ, claims)["token"])

    extra = set(peers["PyJWT"]("algorithms")["algorithms"]) - set(ALGORITHMS) - NOT_TESTED
    check("all", "PyJWT > gate", not extra, f"PyJWT knows algorithms that are not tested: {extra}")

    kinds = collections.Counter()
    for gate in gates:
        lines = [json.loads(line)["kind"] for line in gate.log().splitlines() if line.startswith("{")]
        kinds.update(lines)
        check("all", "changed: 401", len(lines) == gate.refused, f"{gate.refused} refusals, {len(lines)} explained")
    # Anything else would mean that a token was refused for another reason than its signature.
    check("all", "wrong key: 401", set(kinds) == {"bad_signature", "malformed"}, kinds)
    return kinds


def report(kinds):
    print(" " * 8 + "".join(f"{column:>15}" for column in COLUMNS))
    for alg in [*ALGORITHMS, "all"]:
        row = []
        for column in COLUMNS:
            passed, failed = cells.get((alg, column), (0, 0))
            peer = next((p for p in PEERS if (p, alg) in UNKNOWN and p in column), None)
            row.append("FAIL" if failed else "unknown" if peer else f"ok {passed}" if passed else "")
        print(f"{alg:8}" + "".join(f"{cell:>15}" for cell in row))
    for (name, alg), reason in UNKNOWN.items():
        print(f"unknown: {name} {alg}: {reason}")
    if kinds:
        print("refusals:", ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    for failure in failures:
        print("FAIL", failure)
    passed, failed = (sum(column) for column in zip(*cells.values()))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
peers, gates = {}, []
try:
    with tempfile.TemporaryDirectory(dir=WORK) as keys:
        peers = {name: Peer(command) for name, command in PEERS.items()}
        kinds = main(pathlib.Path(keys), peers, gates)
    status = report(kinds)
finally:
    for process in [*peers.values(), *gates]:
        process.close()
sys.exit(status)
