// What the server says is written with textContent alone: it is never markup.

import { keep, newKey, proof, storedKey } from "/key.js";

const $ = (id) => document.getElementById(id);

/** What this page knows of its session; null if nobody is logged in. */
let session = null;
/** The access token, if it is bound to the key: no cookie has it then. Each tab has its own. */
let accessToken = null;
/** What the server wants to see in the next proof. */
let nonce;
/** The renewal that is under way. */
let renewing = null;
/** When a renewal that failed is tried again, in milliseconds since the epoch. */
let retryAt = 0;
/** Whether it is not known yet if anybody is logged in, since there was no answer to that. */
let uncertain = false;
/** Counts logins and logouts, so that an answer that was asked for before one is not taken for news. */
let era = 0;

// Requests

/** One request, with a proof of `key` if the server wants one. Status 0: there was no answer. */
async function request(method, path, body, key) {
  try {
    const answer = await fetchWithProof(method, path, body, key);
    // The first proof of a page has no nonce, or an old one.
    return answer.body?.code === "use_dpop_nonce" ? await fetchWithProof(method, path, body, key) : answer;
  } catch {
    return { status: 0, retryAfter: 2, body: null };
  }
}

/** These return new tokens. In a bound session they may need a proof without an access token. */
const returnsTokens = (path) => ["/login", "/refresh", "/impersonate", "/step-up"].includes(path);

async function fetchWithProof(method, path, body, key) {
  // A login has a new key, or none.
  if (path !== "/login") key ??= await storedKey();
  const token = ["/login", "/refresh", "/logout"].includes(path) ? null : accessToken;
  const headers = {};
  if (key && (token || returnsTokens(path))) {
    headers.DPoP = await proof(key, { method, path, nonce, accessToken: token });
  }
  if (token) headers.Authorization = `DPoP ${token}`;
  const signal = AbortSignal.timeout(10_000);
  const response = await fetch(path, { method, headers, body, cache: "no-store", signal });
  nonce = response.headers.get("DPoP-Nonce") ?? nonce;
  const json = /json/.test(response.headers.get("Content-Type") ?? "");
  const answer = {
    status: response.status,
    retryAfter: Number(response.headers.get("Retry-After")) || 1,
    body: json ? await response.json() : null,
  };
  if (returnsTokens(path) && done(answer)) accessToken = answer.body?.access_token ?? null;
  return answer;
}

/** Whether the server did what was asked: it returned tokens for the script, or nothing. */
const done = ({ status }) => status === 200 || status === 204;

/**
 * A request of somebody who is logged in. A 401 may only mean that the access token has expired, or
 * that the route needs a second factor.
 */
async function authenticated(method, path, body, send = request) {
  let answer = await send(method, path, body);
  if (answer.status === 401 && !needsSecondFactor(answer) && (await renew())) {
    answer = await send(method, path, body);
  }
  if (needsSecondFactor(answer) && (await stepUp())) answer = await send(method, path, body);
  return answer;
}

/** A request that replaces the session's tokens, and so must not meet a renewal of any tab. */
const requestInTurn = (method, path, body) => inTurn(() => request(method, path, body));

// Second factor

const needsSecondFactor = (answer) => answer.body?.code === "insufficient_user_authentication";

/** Asks for a one-time code until one is right. Resolves to false if the person cancels. */
function stepUp() {
  const dialog = $("second-factor");
  $("step-up").reset();
  $("step-up-error").hidden = true;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "done"), { once: true });
  });
}

async function sendCode(form) {
  const before = era;
  const body = new URLSearchParams(new FormData(form));
  const answer = await authenticated("POST", "/step-up", body, requestInTurn);
  const me = done(answer) ? await request("GET", "/me") : answer;
  if (before !== era) return;
  if (me.status === 200) {
    adopt(me.body);
    $("second-factor").close("done");
    return;
  }
  $("step-up-error").textContent = me.body?.detail ?? "There was no answer. Please try again.";
  $("step-up-error").hidden = false;
  $("code").select();
}

// Renewal

/** At a quarter of its life, and not in the last moment. */
const renewalDue = () => Math.max(session.lifetime / 4, 2_000);
const timeLeft = () => session.expiresAt - Date.now();

/**
 * Renews the tokens. Whether there are good ones now.
 *
 * Several tabs take turns, and who comes second finds the work done. Without the lock each would renew, which is no harm
 * either: within the grace the server gives them all the same refresh token.
 */
function renew({ force = false } = {}) {
  renewing ??= inTurn(() => renewOnce(force)).finally(() => {
    renewing = null;
    showTime();
  });
  showTime();
  return renewing;
}

const inTurn = (work) => (navigator.locks ? navigator.locks.request("renewal", work) : work());

async function renewOnce(force) {
  const before = era;
  // After one that failed the page knows what to do.
  if (!force && !retryAt) {
    const me = await request("GET", "/me");
    if (before !== era) return false;
    if (me.status === 200) {
      adopt(me.body);
      if (timeLeft() > renewalDue()) return true;
    }
  }
  const answer = await request("POST", "/refresh");
  if (before !== era) return false;
  if (answer.status === 200) {
    const me = await request("GET", "/me");
    if (before !== era) return false;
    if (me.status === 200) {
      adopt(me.body);
      retryAt = 0;
      if ($("notice").dataset.kind === "outage") notice(null);
      return true;
    }
  }
  // 400: the session is bound, and its key is not here.
  if (answer.status === 401 || answer.status === 400) {
    await ended();
  } else {
    // An outage, here or on the way: the session is as good as before.
    retryAt = Date.now() + answer.retryAfter * 1000;
    uncertain = !session;
    notice("outage", session
      ? "The session cannot be renewed at the moment. You stay logged in; the page keeps trying."
      : "The service is not available at the moment. The page keeps trying.");
  }
  return false;
}

// States

function adopt({ claims, expires_in }) {
  uncertain = false;
  session = {
    sid: claims.sid,
    who: claims.sub,
    actor: claims.act?.sub,
    expiresAt: Date.now() + expires_in * 1000,
    lifetime: Math.max(claims.exp - claims.iat, 1) * 1000,
  };
  $("name").textContent = claims.name;
  $("actor").textContent = session.actor ?? "";
  $("acted-for").textContent = claims.name;
  $("acting").hidden = !session.actor;
  $("support").hidden = !claims.roles.includes("support");
  $("claims").replaceChildren(
    ...Object.entries(claims).flatMap(([name, value]) => [
      element("dt", name),
      element("dd", ["iat", "exp"].includes(name) ? `${value} (${clock(value)})` : asText(value)),
    ]),
  );
  show(true);
}

function show(loggedIn) {
  for (const id of ["in", "account", "sessions", "thief", "role"]) $(id).hidden = !loggedIn;
  $("out").hidden = loggedIn;
  document.body.dataset.state = loggedIn ? "in" : "out";
  showTime();
}

function leave(kind, text) {
  era += 1;
  session = null;
  accessToken = null;
  uncertain = false;
  retryAt = 0;
  $("list").replaceChildren();
  $("claims").replaceChildren();
  $("name").textContent = "";
  $("thief-says").textContent = "";
  for (const id of ["acting", "support"]) $(id).hidden = true;
  $("second-factor").close();
  notice(kind, text);
  show(false);
  $("username").focus();
}

/** Why a session ends. */
const whys = ["reuse_detected", "blocked", "logged_out_everywhere", "logged_out_others"];

/** The server says that the session is dead. Its log says why. */
async function ended() {
  const { sid, who, actor } = session ?? {};
  const before = era;
  const log = (await look())?.log ?? [];
  if (before !== era) return;
  // The page has only just been opened.
  if (!sid) return leave(null);
  // The newest first: what was before the login is not about this session.
  const about = log.filter((entry) => {
    const own = entry.session && sid.startsWith(entry.session);
    switch (entry.kind) {
      case "logged_out_others":
        return !own && entry.who === who;
      case "blocked":
      case "logged_out_everywhere":
        return entry.who === who || entry.who === actor;
      default:
        return own;
    }
  });
  const start = about.findIndex(({ kind }) => ["started", "impersonation_started"].includes(kind));
  const since = start < 0 ? about : about.slice(0, start);
  const why = since.find(({ kind }) => whys.includes(kind));
  switch (why?.kind) {
    case "reuse_detected":
      return leave("theft", "This session was ended: its refresh token was used twice, so somebody else has had it. If that was not you playing the thief, change your password.");
    case "logged_out_everywhere":
      return leave("ended", "You were logged out everywhere.");
    case "logged_out_others":
      return leave("ended", "This session was ended, because the password was changed.");
    case "blocked":
      return leave("ended", why.who === actor
        ? `${actor} was blocked, and no longer acts for ${who}.`
        : "This account was blocked.");
    default:
      return leave("ended", "This session has ended. Please log in again.");
  }
}

function notice(kind, text = "") {
  const place = $("notice");
  place.hidden = !kind;
  if (kind) place.dataset.kind = kind;
  else delete place.dataset.kind;
  if (place.textContent !== text) place.textContent = text;
  // On a phone the forms are far below it. An outage is nothing that a person just asked for.
  if (kind && kind !== "outage") place.scrollIntoView({ block: "nearest" });
}

// What is seen

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value));
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString();

function showTime() {
  if (!session) return;
  const left = Math.max(timeLeft(), 0);
  const seconds = Math.ceil(left / 1000);
  $("left").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`;
  $("meter").value = Math.min(left / session.lifetime, 1);
  const due = Math.max(Math.ceil((left - renewalDue()) / 1000), 0);
  $("renewal").textContent = renewing
    ? "Renewing …"
    : retryAt > 0 ? "Renewal failed. Trying again soon." : `The page renews it in ${due} s.`;
  $("in").setAttribute("aria-busy", String(Boolean(renewing)));
}

function showSessions(sessions) {
  const list = $("list");
  // Changed in place, so that whoever is on a button stays there.
  const rows = new Map([...list.children].map((row) => [row.dataset.sid, row]));
  for (const each of sessions) {
    let row = rows.get(each.sid);
    rows.delete(each.sid);
    if (!row) {
      row = element("li", "", { "data-sid": each.sid });
      const end = element("button", "End", { type: "button" });
      end.addEventListener("click", () => endSession(each));
      row.append(element("strong", ""), element("small", ""), end);
    }
    const [title, details, end] = row.children;
    title.textContent = each.label ?? "Unnamed";
    if (each.current) title.append(element("span", "this one", { class: "badge" }));
    details.textContent = [`since ${clock(each.created)}`, `last used ${clock(each.used)}`, renewed(each.renewals)].join(", ");
    end.setAttribute("aria-label", `End the session of ${each.label}, since ${clock(each.created)}`);
    if (!row.isConnected) list.append(row);
  }
  for (const row of rows.values()) row.remove();
}

function renewed(times) {
  switch (times) {
    case 0: return "not renewed yet";
    case 1: return "renewed once";
    default: return `renewed ${times} times`;
  }
}

const sentences = {
  started: (who) => `${who} has logged in.`,
  impersonation_started: (who, actor) => `${actor} acts for ${who}.`,
  elevated: (who) => `${who} has entered a one-time code.`,
  ended: (who, actor) =>
    actor ? `${actor} no longer acts for ${who}.` : `A session of ${who} was ended.`,
  reuse_detected: (who) => `THEFT: a refresh token of ${who} was used twice. The session has ended.`,
  lost_writes: (who) => `The store has lost writes of a session of ${who}.`,
  logged_out_others: (who) => `${who} has changed the password. Other sessions have ended.`,
  logged_out_everywhere: (who) => `${who} was logged out everywhere.`,
  blocked: (who) => `${who} is blocked.`,
  unblocked: (who) => `${who} is no longer blocked.`,
  copied: () => "The thief has copied a refresh token.",
  thief_renewed: () => "The thief has renewed with the copy, and has tokens now. Nobody can tell yet.",
  thief_refused: () => "The thief has used the copy and got nothing: the session is dead.",
  thief_without_key: () => "The thief has used the copy and got nothing: it has no key. The session lives.",
  thief_below: () => "The thief has used a copy from before a one-time code and got nothing.",
  role_taken: (who) => `${who} is no admin any more, from the next renewal on.`,
  role_given: (who) => `${who} is an admin, from the next renewal on.`,
  outage: () => "The user database is down.",
  outage_over: () => "The user database is back.",
};

/** Asks what has happened, and shows it. */
async function look() {
  const { status, body } = await request("GET", "/demo");
  if (status !== 200) return null;
  $("grace").textContent = body.grace === 1 ? "1 second" : `${body.grace} seconds`;
  $("outage").setAttribute("aria-pressed", String(body.outage));
  $("block").setAttribute("aria-pressed", String(body.blocked));
  $("replay").disabled = !body.loot;
  const newest = String(body.log[0]?.number ?? 0);
  if ($("log").dataset.newest !== newest) {
    $("log").dataset.newest = newest;
    $("log-empty").hidden = body.log.length > 0;
    $("log").replaceChildren(...body.log.map((entry) => {
      const row = element("li", "", { "data-kind": entry.kind });
      const words = sentences[entry.kind]?.(entry.who, entry.actor) ?? entry.kind;
      row.append(element("time", clock(entry.at)), element("span", entry.session ? `${words} (${entry.session}…)` : words));
      return row;
    }));
  }
  return body;
}

async function lookAtSessions() {
  if (!session) return;
  const before = era;
  const answer = await authenticated("GET", "/sessions");
  if (answer.status === 200 && before === era) showSessions(answer.body);
}

// What a person does

async function act(button, work) {
  button.disabled = true;
  try {
    await work();
  } finally {
    button.disabled = false;
    await look();
  }
}

const failed = (answer, what) => notice("error", `${what} ${answer.body?.detail ?? "There was no answer."}`);

function on(id, work) {
  $(id).addEventListener("click", () => act($(id), work));
}

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  act(form.querySelector(".primary"), async () => {
    $("login-error").hidden = true;
    const data = new FormData(form);
    const key = data.get("binding") === "none" ? null : await newKey();
    // In turn, so that no tab renews with the new cookies and the old key.
    const answer = await inTurn(async () => {
      const answer = await request("POST", "/login", new URLSearchParams(data), key);
      // Only now: a login that fails must not replace the key of the session before.
      if (done(answer)) await keep(key);
      return answer;
    });
    const me = done(answer) ? await request("GET", "/me") : answer;
    if (me.status === 200 && done(answer)) {
      era += 1;
      form.reset();
      notice(null);
      adopt(me.body);
      $("logout").focus();
      await lookAtSessions();
      return;
    }
    $("login-error").textContent = me.body?.detail ?? "There was no answer. Please try again.";
    $("login-error").hidden = false;
    $("password").select();
  });
});

for (const button of document.querySelectorAll("[data-user]")) {
  button.addEventListener("click", () => {
    $("username").value = button.dataset.user;
    $("password").value = button.dataset.password;
    $("login").querySelector(".primary").focus();
  });
}

on("renew", () => renew({ force: true }));

on("logout", async () => {
  const answer = await request("POST", "/logout");
  // 401: it was dead already.
  if (answer.status === 204 || answer.status === 401) {
    leave("info", session?.actor
      ? `You no longer act for ${session.who}. Please log in again.`
      : "You are logged out.");
  } else failed(answer, "You are still logged in.");
});

on("everywhere", async () => {
  const answer = await authenticated("POST", "/logout-everywhere");
  if (answer.status === 204) leave("info", "You are logged out, here and everywhere else.");
  else if (session) failed(answer, "You are still logged in.");
});

/** A form whose request needs a login. `then` is called if the server did what was asked. */
function onForm(id, path, what, send, then) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    act(form.querySelector("button"), async () => {
      notice(null);
      const body = new URLSearchParams(new FormData(form));
      const answer = await authenticated("POST", path, body, send);
      if (done(answer)) {
        form.reset();
        await then();
      } else if (session && !needsSecondFactor(answer)) failed(answer, what);
    });
  });
}

onForm("change", "/password", "The password is as before.", request, async () => {
  // The access token from before is invalid now.
  if (await renew({ force: true })) {
    notice("info", "The password was changed. Other sessions have ended.");
  }
});

onForm("impersonate", "/impersonate", "You still act for yourself.", requestInTurn, async () => {
  const me = await request("GET", "/me");
  if (me.status !== 200) return failed(me, "You act for a user now.");
  era += 1;
  adopt(me.body);
  await lookAtSessions();
});

on("stop", () => $("logout").click());

$("step-up").addEventListener("submit", (event) => {
  event.preventDefault();
  act(event.target.querySelector(".primary"), () => sendCode(event.target));
});

$("cancel").addEventListener("click", () => $("second-factor").close());

async function endSession(one) {
  if (one.current) return $("logout").click();
  const answer = await authenticated("DELETE", `/sessions/${one.sid}`);
  if (answer.status !== 204 && session) failed(answer, "It was not ended.");
  await Promise.all([lookAtSessions(), look()]);
}

on("steal", async () => {
  const answer = await request("POST", "/thief/steal");
  $("thief-says").textContent = answer.status === 200
    ? "Copied. Now let the page renew, or press “Renew now”, and wait out the grace."
    : answer.body?.detail ?? "There was no answer.";
});

$("replay").addEventListener("click", async () => {
  const answer = await request("POST", "/thief/replay");
  const says = {
    reuse_detected: "The server saw an old token: the session is dead, for the thief too.",
    thief_renewed: "It still counted: the thief has tokens. Soon one of the two presents an old one, and the session ends.",
    thief_refused: "Refused: the session is dead already.",
    thief_without_key: "Refused: the session is bound to a key of this browser. The session lives.",
    thief_below: "Refused: the user has entered a one-time code since. The session lives.",
  };
  $("thief-says").textContent = says[answer.body?.outcome] ?? answer.body?.detail ?? "There was no answer.";
  // The page learns it as any other would: at its next request.
  await Promise.all([lookAtSessions(), look()]);
});

on("role", () => authenticated("POST", "/demo/role"));
on("outage", () => request("POST", "/demo/outage"));
on("block", () => request("POST", "/demo/block"));

// As time goes by

setInterval(() => {
  showTime();
  const due = session ? retryAt > 0 || timeLeft() <= renewalDue() : uncertain;
  if (due && !renewing && Date.now() >= retryAt) renew();
}, 250);

setInterval(() => {
  if (document.hidden) return;
  look();
  lookAtSessions();
}, 2_000);

// Timers of a hidden page run late.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) lookAtSessions();
});

const me = await request("GET", "/me");
if (me.status === 200) adopt(me.body);
else if (me.status === 401) await renew({ force: true });
if (me.status !== 200 && me.status !== 401) uncertain = true;
if (!session && !uncertain) show(false);
await Promise.all([lookAtSessions(), look()]);
