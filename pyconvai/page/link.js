"use strict";
// How the page and Asterisk talk: log-in by AMI over HTTP, server-sent events, or polling where those are taken.

const KEEP_MS = 15000; // so often the log-in is renewed: Asterisk forgets it after httptimeout
const POLL_MS = 2000;
const AGAIN_POLLS = 15; // after so many polls the events are tried once more
const ASK_MS = 10000; // no request may last longer
const QUIET_MS = 5000; // who is sent nothing for so long, with a status each second, has no connection any more

// The page's own address may end in a slash or not.
const HERE = location.pathname.replace(/\/+$/, "");
const MANAGER = HERE.replace(/[^/]*$/, "rawman");

let events = null; // an EventSource while one is open
let timer = 0; // of the next poll
let quiet = 0; // a timer: nothing has come
let polls = 0;
let keptAt = 0;
let logOuts = 0; // what was asked before one is not shown behind it

async function ask(url, options) {
  return fetch(url, { credentials: "same-origin", cache: "no-store", redirect: "error", signal: AbortSignal.timeout(ASK_MS), ...options });
}

/** Ask Asterisk's manager something. What it says, or "" if it is not there. */
async function manager(fields) {
  const answer = await ask(MANAGER, {
    method: "POST",
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(fields).toString(),
  });
  return answer.ok ? answer.text() : "";
}

/** Log in. Why not, or "" if it has been done. */
async function logIn(username, secret) {
  try {
    // Who has logged in before, as somebody who may not see this, would stay who it is.
    await manager({ action: "logoff" });
    // Events of a class that hardly ever comes: else Asterisk keeps all of them for this session.
    const said = await manager({ action: "login", username, secret, events: "aoc" });
    if (/^Response: Success/m.test(said)) {
      keptAt = Date.now();
      return "";
    }
    const why = /^Message: (.*)$/m.exec(said);
    return why ? why[1].trim() : "Asterisk's manager is not there: webenabled = yes in manager.conf, and enabled = yes.";
  } catch {
    return "Asterisk does not answer.";
  }
}

async function logOut() {
  logOuts += 1;
  disconnect();
  try {
    await manager({ action: "logoff" });
  } catch {
    // Then it forgets the session by itself.
  }
  showLogin("");
}

/** Renew the log-in, and take the events that wait for it. */
async function keep() {
  if (Date.now() - keptAt < KEEP_MS) {
    return;
  }
  keptAt = Date.now();
  try {
    await manager({ action: "waitevent", timeout: "0" });
  } catch {
    // Whoever asks next tells what is wrong.
  }
}

function query() {
  const { looked } = model;
  const ended = model.endings.length ? model.endings[0].number : 0;
  return `ended=${ended}&since=${model.since}` + (looked ? `&call=${looked.id}&from=${looked.next}` : "");
}

function disconnect() {
  clearTimeout(timer);
  clearTimeout(quiet);
  timer = 0;
  if (events) {
    events.close();
    events = null;
  }
}

/** A connection that is dead without an end looks like one on which nothing comes. */
function listen() {
  clearTimeout(quiet);
  quiet = setTimeout(() => {
    showLink("lost");
    disconnect();
    poll();
  }, QUIET_MS);
}

/** Have what there is sent, from now on. */
function connect() {
  disconnect();
  const source = new EventSource(`${HERE}/events?${query()}`);
  events = source;
  listen();
  source.onmessage = (message) => {
    polls = 0;
    listen();
    arrived(JSON.parse(message.data), "live");
  };
  source.addEventListener("refused", () => {
    disconnect();
    poll();
  });
  source.onerror = () => {
    // The browser would ask again by itself, with what was seen then: we know more.
    disconnect();
    poll();
  };
}

/** Ask once; that tells also why there are no events. */
async function poll() {
  timer = 0;
  const asked = logOuts;
  try {
    const answer = await ask(`${HERE}/status.json?${query()}`);
    if (asked !== logOuts) {
      return;
    }
    if (answer.status === 401 || answer.status === 403) {
      disconnect();
      const isForgotten = document.body.dataset.view === "live";
      showLogin(answer.status === 403 ? (await answer.json()).answer : isForgotten ? "Asterisk has forgotten this log-in." : "");
      return;
    }
    if (!answer.ok) {
      throw new Error(String(answer.status));
    }
    const status = await answer.json();
    if (!events && asked === logOuts) {
      arrived(status, "polled");
    }
  } catch {
    showLink("lost");
  }
  polls += 1;
  if (!events && !timer && asked === logOuts) {
    const retry = polls === 1 || polls % AGAIN_POLLS === 0;
    timer = setTimeout(retry ? connect : poll, polls === 1 ? 0 : POLL_MS);
  }
}

function arrived(status, how) {
  take(status);
  showLive();
  showLink(how);
  show();
  keep();
}

/** Send what a button wants. What has become of it: { done, text }. */
async function post(what, fields) {
  try {
    const answer = await ask(`${HERE}/${what}`, {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded", "X-ElevenLabs-Page": "1" },
      body: new URLSearchParams(fields).toString(),
    });
    return { done: answer.ok, text: (await answer.json()).answer };
  } catch {
    return { done: false, text: "Asterisk does not answer." };
  }
}
