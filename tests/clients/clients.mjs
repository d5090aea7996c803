// axios and ky against the test target session_api, as a user of each would write it.
//
// clients.mjs BASE TEST: the service over TLS, and the routes that control it.

import assert from "node:assert/strict";
import axios from "axios";
import ky, { HTTPError } from "ky";
import { CookieJar } from "tough-cookie";

const [base, test] = process.argv.slice(2);
const control = (path) => ky.post(`${test}/${path}`);
const passed = (what) => console.log(`ok ${what}`);
const NAMES = ["__Host-access", "__Host-refresh"];

// What every client expects.

function isPair(tokens) {
  const { access_token, refresh_token, ...rest } = tokens;
  assert.deepEqual(rest, { token_type: "Bearer", expires_in: 300 });
  assert.ok(access_token && refresh_token);
  return tokens;
}

function isOAuthError(status, body) {
  assert.equal(status, 400);
  assert.equal(body.error, "invalid_grant");
  assert.ok(body.error_description);
}

function isProblem(status, body, wanted) {
  assert.equal(status, wanted);
  assert.equal(body.status, wanted);
  assert.ok(body.detail);
}

const jsonOf = ({ refresh_token }) => ({ refresh_token });
const formOf = (tokens) => new URLSearchParams({ grant_type: "refresh_token", ...jsonOf(tokens) });

/** The cookies that a client with this jar would send now. */
const held = async (jar) => (await jar.getCookies(base)).map((cookie) => cookie.key).sort();

// axios

const statusOf = (request) => request.then((r) => r.status, (e) => e.response?.status ?? e.code);

async function axiosBodies() {
  const login = new URLSearchParams({ username: "axios" });
  let { data: tokens } = await axios.post(`${base}/app/login`, login);
  isPair(tokens);
  const me = (token) => axios.get(`${base}/me`, { headers: { Authorization: `Bearer ${token}` } });
  assert.deepEqual((await me(tokens.access_token)).data, { sub: "axios" });

  const first = tokens.refresh_token;
  const form = () => formOf(tokens);
  for (const body of [form, () => jsonOf(tokens)]) {
    const answer = await axios.post(`${base}/refresh`, body());
    assert.equal(answer.headers["set-cookie"], undefined);
    assert.equal(answer.headers["cache-control"], "no-store");
    tokens = isPair(answer.data);
    assert.deepEqual((await me(tokens.access_token)).data, { sub: "axios" });
  }
  assert.notEqual(tokens.refresh_token, first);
  // multipart/form-data.
  const multipart = axios.postForm(`${base}/refresh`, jsonOf(tokens));
  assert.equal(await statusOf(multipart), 400);

  await control("store/fail");
  for (const body of [form(), jsonOf(tokens)]) {
    for (const path of ["refresh", "logout"]) {
      const { response } = await axios.post(`${base}/${path}`, body).catch((error) => error);
      isProblem(response.status, response.data, 503);
      assert.equal(response.headers["retry-after"], "1");
    }
  }
  await control("store/recover");
  tokens = isPair((await axios.post(`${base}/refresh`, form())).data);

  assert.equal((await axios.post(`${base}/logout`, form())).status, 204);
  const { response } = await me(tokens.access_token).catch((error) => error);
  isProblem(response.status, response.data, 401);
  assert.match(response.headers["www-authenticate"], /error="invalid_token"/);
  const { response: ofForm } = await axios.post(`${base}/refresh`, form()).catch((error) => error);
  isOAuthError(ofForm.status, ofForm.data);
  const json = jsonOf(tokens);
  const { response: ofJson } = await axios.post(`${base}/refresh`, json).catch((error) => error);
  isProblem(ofJson.status, ofJson.data, 401);
  passed("axios: form and JSON");
}

/** A client that keeps cookies, and refreshes after a 401, once for all requests that wait. */
function axiosWithCookies(jar, origin) {
  const client = axios.create({ baseURL: base, headers: origin ? { Origin: origin } : {} });
  client.interceptors.request.use(async (config) => {
    config.headers.Cookie = await jar.getCookieString(base);
    return config;
  });
  const keep = async (response) => {
    for (const cookie of response?.headers["set-cookie"] ?? []) await jar.setCookie(cookie, base);
  };
  let refreshing;
  client.interceptors.response.use(
    async (response) => {
      await keep(response);
      return response;
    },
    async (error) => {
      await keep(error.response);
      const { config, response } = error;
      if (response?.status !== 401 || config.url === "/refresh" || config.retried) throw error;
      refreshing ??= client.post("/refresh").finally(() => (refreshing = undefined));
      await refreshing;
      return client({ ...config, retried: true });
    },
  );
  return client;
}

async function axiosCookies() {
  const jar = new CookieJar(undefined, { prefixSecurity: "strict" });
  const client = axiosWithCookies(jar, base);
  const login = await client.post("/login", new URLSearchParams({ username: "axios" }));
  assert.equal(login.status, 204);
  assert.deepEqual(await held(jar), NAMES);
  assert.deepEqual((await client.get("/me")).data, { sub: "axios" });
  for (const body of [undefined, null, {}, new URLSearchParams()]) {
    const { status, data } = await client.post("/refresh", body);
    assert.deepEqual([status, data], [200, { expires_in: 300 }]);
  }

  await control("advance/400");
  const answers = await Promise.all(Array.from({ length: 5 }, () => client.get("/me")));
  assert.ok(answers.every(({ status }) => status === 200));
  // A client that does not wait sends one refresh token five times. That is one rotation.
  const [before] = await ky(`${test}/counters/axios`).json();
  const five = await Promise.all(Array.from({ length: 5 }, () => client.post("/refresh")));
  assert.ok(five.every(({ status }) => status === 200));
  assert.deepEqual(await ky(`${test}/counters/axios`).json(), [before + 1]);

  const foreign = axiosWithCookies(jar, "https://evil.example");
  const nameless = axiosWithCookies(jar, undefined);
  for (const path of ["/refresh", "/logout"]) {
    assert.equal(await statusOf(foreign.post(path)), 403);
    assert.equal(await statusOf(nameless.post(path)), 403);
  }
  await control("store/fail");
  assert.equal(await statusOf(client.post("/refresh")), 503);
  assert.equal(await statusOf(client.post("/logout")), 503);
  assert.deepEqual(await held(jar), NAMES);
  await control("store/recover");

  assert.equal((await client.post("/logout")).status, 204);
  assert.deepEqual(await held(jar), []);
  assert.equal(await statusOf(client.get("/me")), 401);
  assert.equal((await client.post("/logout")).status, 204);
  passed("axios: cookies, and an interceptor that refreshes");
}

async function reuse() {
  const jar = new CookieJar();
  const client = axiosWithCookies(jar, base);
  await client.post("/login", new URLSearchParams({ username: "axios" }));
  const old = await jar.getCookieString(base);
  await client.post("/refresh");
  await control("advance/11");
  const replay = { headers: { Cookie: old, Origin: base } };
  const refused = axios.post(`${base}/refresh`, undefined, replay);
  const { response } = await refused.catch((error) => error);
  assert.equal(response.status, 401);
  assert.equal(response.headers["set-cookie"].length, 2);
  // The session has ended for its owner too, and the jar is empty.
  assert.equal(await statusOf(client.post("/refresh")), 401);
  assert.deepEqual(await held(jar), []);
  passed("axios: an old refresh cookie ends the session, and both cookies are deleted");
}

// ky

const failure = async (request) => {
  const error = await request.then(() => assert.fail("it succeeded"), (error) => error);
  assert.ok(error instanceof HTTPError, `${error}`);
  const { status, headers } = error.response;
  return { status, headers, body: await error.response.json() };
};

async function kyBodies() {
  const api = ky.create({ prefixUrl: base });
  const login = api.post("app/login", { body: new URLSearchParams({ username: "ky" }) });
  let tokens = isPair(await login.json());
  const form = () => formOf(tokens);
  tokens = isPair(await api.post("refresh", { body: form() }).json());
  tokens = isPair(await api.post("refresh", { json: jsonOf(tokens) }).json());

  const authorize = (request) =>
    request.headers.set("Authorization", `Bearer ${tokens.access_token}`);
  // Refreshes after a 401 and repeats the request, as the documentation of ky shows.
  const client = api.extend({
    hooks: {
      beforeRequest: [authorize],
      afterResponse: [
        async (request, options, response) => {
          if (response.status !== 401) return response;
          tokens = isPair(await api.post("refresh", { body: form() }).json());
          authorize(request);
          return ky(request, options);
        },
      ],
    },
  });
  assert.deepEqual(await client.get("me").json(), { sub: "ky" });
  await control("advance/400");
  assert.deepEqual(await client.get("me").json(), { sub: "ky" });
  assert.deepEqual(await ky(`${test}/counters/ky`).json(), [3]);

  // ky repeats a POST only if asked to. It waits as long as `Retry-After` says.
  await control("store/fail");
  const unavailable = await failure(api.post("refresh", { body: form() }));
  isProblem(unavailable.status, unavailable.body, 503);
  assert.equal(unavailable.headers.get("retry-after"), "1");
  const recover = async () => void (await control("store/recover"));
  const retrying = { retry: { methods: ["post"], limit: 3 }, hooks: { beforeRetry: [recover] } };
  tokens = isPair(await api.post("refresh", { body: form(), ...retrying }).json());

  assert.equal((await api.post("logout", { json: jsonOf(tokens) })).status, 204);
  const ofForm = await failure(api.post("refresh", { body: form() }));
  isOAuthError(ofForm.status, ofForm.body);
  const ofJson = await failure(api.post("refresh", { json: jsonOf(tokens) }));
  isProblem(ofJson.status, ofJson.body, 401);
  passed("ky: form and JSON, a hook that refreshes, and a retry after an outage");
}

async function kyCookies() {
  const jar = new CookieJar(undefined, { prefixSecurity: "strict" });
  const client = ky.create({
    prefixUrl: base,
    headers: { Origin: base },
    hooks: {
      beforeRequest: [
        async (request) => request.headers.set("Cookie", await jar.getCookieString(base)),
      ],
      afterResponse: [
        async (_request, _options, response) => {
          for (const cookie of response.headers.getSetCookie()) await jar.setCookie(cookie, base);
        },
      ],
    },
  });
  const login = await client.post("login", { body: new URLSearchParams({ username: "ky" }) });
  assert.equal(login.status, 204);
  assert.deepEqual(await held(jar), NAMES);
  assert.deepEqual(await client.get("me").json(), { sub: "ky" });
  for (const options of [{}, { json: {} }, { body: new URLSearchParams() }]) {
    assert.deepEqual(await client.post("refresh", options).json(), { expires_in: 300 });
  }
  await control("store/fail");
  for (const path of ["refresh", "logout"]) {
    const { status, headers } = await failure(client.post(path));
    assert.deepEqual([status, headers.getSetCookie()], [503, []]);
  }
  await control("store/recover");
  assert.equal((await client.post("logout")).status, 204);
  assert.deepEqual(await held(jar), []);
  assert.equal((await failure(client.get("me"))).status, 401);
  passed("ky: cookies");
}

await axiosBodies();
await axiosCookies();
await reuse();
await kyBodies();
await kyCookies();
