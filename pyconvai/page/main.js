"use strict";
// What the page shows when, and its keys.

const LINKS = { live: "live", polled: "live, every 2 s", lost: "connection lost, trying again" };

let drawing = 0;

/** Draw all of it soon, once. A page that nobody sees is not drawn. */
function show() {
  if (!drawing && !document.hidden) {
    drawing = requestAnimationFrame(() => {
      drawing = 0;
      const { module } = model;
      put($("where"), [module.system, `Asterisk ${module.asterisk}`].filter(Boolean).join(" · "));
      put($("about"), `app_elevenlabs_convai ${module.module}${module.engine ? `, engine ${module.engine.version} (${module.engine.build})` : ""}`);
      const alarm = !module.engine || !module.engine.running ? "No engine is in service: calls are refused. The log says why."
        : module.draining ? "Draining: new calls are refused (elevenlabs drain off ends that)." : "";
      $("alarm").hidden = !alarm;
      put($("alarm"), alarm);
      showTiles();
      showCalls();
      showAgents();
      showEndings();
      showDetail();
    });
  }
}

function showLogin(why) {
  document.body.dataset.view = "login";
  model.calls.clear();
  model.endings = [];
  model.since = 0;
  if (model.looked) {
    look(0);
    hideDetail();
  }
  $("call-list").replaceChildren();
  rows.clear();
  visible.clear();
  $("ending-list").replaceChildren();
  endingShown = -1;
  $("agent-list").replaceChildren();
  delete $("agent-list").dataset.shown;
  $("d-words").replaceChildren();
  drawnFor = 0;
  put($("login-error"), why);
  const isHere = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  $("in-clear").hidden = location.protocol === "https:" || isHere;
  $("login-form").elements.username.focus();
}

function showLive() {
  if (document.body.dataset.view !== "live") {
    document.body.dataset.view = "live";
    $("login-form").reset();
    put($("login-error"), "");
  }
}

function showLink(how) {
  $("link").dataset.link = how;
  put($("link"), LINKS[how]);
}

// ---- Wiring ----

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  button.disabled = true;
  const why = await logIn(form.elements.username.value, form.elements.secret.value);
  button.disabled = false;
  put($("login-error"), why);
  if (!why) {
    poll();
  } else {
    form.elements.secret.select();
  }
});
$("logout").addEventListener("click", logOut);
$("find").addEventListener("input", show);
$("order").addEventListener("change", show);
$("d-close").addEventListener("click", closeCall);
$("d-hangup").addEventListener("click", hangUp);
$("d-act").addEventListener("submit", (event) => {
  event.preventDefault();
  sendText();
});
$("d-act").addEventListener("change", () => {
  const isMessage = $("d-act").elements.type.value === "message";
  $("d-act").elements.text.placeholder = isMessage ? "The agent answers this, as if the caller had said it" : "The agent knows this from now on, and does not answer";
});
$("d-act").elements.text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    sendText();
  }
});
$("d-newest").addEventListener("click", () => {
  $("d-words").scrollTop = $("d-words").scrollHeight;
  $("d-newest").hidden = true;
});
$("d-words").addEventListener("scroll", () => {
  $("d-newest").hidden = isAtEnd($("d-words"));
});
$("help-open").addEventListener("click", () => $("help").showModal());
document.addEventListener("visibilitychange", () => document.body.dataset.view === "live" && show());

// ---- Light and dark ----

const THEMES = ["", "light", "dark"]; // "": as the system has it

function setTheme(theme) {
  mark(document.documentElement, "theme", theme);
  try {
    localStorage.setItem("elevenlabs-theme", theme);
  } catch {
    // Then it lasts as long as the page.
  }
}

function nextTheme() {
  setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme || "") + 1) % THEMES.length]);
}

try {
  const theme = localStorage.getItem("elevenlabs-theme");
  setTheme(THEMES.includes(theme) ? theme : "");
} catch {
  // As the system has it.
}
$("theme").addEventListener("click", nextTheme);

// ---- Keys ----

function step(by) {
  const buttons = [...document.querySelectorAll("#call-list .row")];
  const at = buttons.indexOf(document.activeElement);
  const next = buttons[at < 0 ? (by > 0 ? 0 : buttons.length - 1) : Math.min(buttons.length - 1, Math.max(0, at + by))];
  if (next) {
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
}

const KEYS = {
  "/": () => $("find").focus(),
  j: () => step(1),
  k: () => step(-1),
  m: () => !$("detail").hidden && $("d-act").elements.text.focus(),
  x: () => !$("detail").hidden && $("d-hangup").focus(),
  t: nextTheme,
  "?": () => $("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (document.body.dataset.view !== "live" || $("help").open || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  const isWriting = event.target.matches("input:not([type=radio]), textarea, select");
  if (event.key === "Escape") {
    if (event.target === $("find")) {
      $("find").value = "";
      $("find").blur();
      show();
    } else {
      closeCall();
    }
  } else if (!isWriting && Object.hasOwn(KEYS, event.key)) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

poll();
