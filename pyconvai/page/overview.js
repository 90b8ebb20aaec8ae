"use strict";
// The tiles, and the lists of calls, agents and endings.

const $ = (id) => document.getElementById(id);

const rows = new Map(); // of calls, by id
const visible = new Set(); // ids of those that are on the screen: levels of others are not drawn
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const id = Number(entry.target.dataset.id);
    if (entry.isIntersecting) {
      visible.add(id);
      drawRow(id);
    } else {
      visible.delete(id);
    }
  }
});

function showTiles() {
  const calls = [...model.calls.values()].map((known) => known.data);
  const queued = calls.filter((call) => call.state === "queued");
  const answers = calls.filter((call) => call.answers);
  const scores = calls.map((call) => Number(call.mos)).filter((mos) => mos > 0);
  put($("n-calls"), String(calls.length));
  put($("n-max"), model.module.max_sessions ? `of ${model.module.max_sessions}` : "up");
  drawHistory($("n-history"), model.history);
  put($("n-queued"), String(queued.length));
  $("n-queued").className = queued.length ? "warn" : "";
  put($("n-longest"), queued.length ? `longest ${duration(Math.max(...queued.map((call) => call.queued)))}` : "");
  const middle = median(answers.map((call) => call.answer_ms));
  const slowest = Math.max(0, ...answers.map((call) => call.answer_max_ms));
  put($("n-answer"), middle === undefined ? "–" : seconds(middle));
  $("n-answer").className = answerKind(middle || 0);
  put($("n-slowest"), slowest ? `slowest ${seconds(slowest)}` : "");
  const mos = median(scores);
  put($("n-mos"), mos === undefined ? "–" : mos.toFixed(1));
  $("n-mos").className = mosKind(mos);
  put($("n-worst"), scores.length ? `worst ${Math.min(...scores).toFixed(1)} of ${scores.length}` : "");
  showEnds();
}

/** How the calls of all agents have ended since the module was loaded. */
function showEnds() {
  const kinds = { good: 0, warn: 0, bad: 0 };
  for (const [status, count] of Object.entries(model.module.ends)) {
    kinds[kindOf(status)] += count;
  }
  put($("n-ended"), String(kinds.good + kinds.warn + kinds.bad));
  put($("n-trouble"), kinds.bad ? `${kinds.bad} with trouble` : kinds.warn ? `${kinds.warn} cut off` : "");
  const bars = Object.keys(kinds).filter((kind) => kinds[kind]).map((kind) => {
    const bar = make("i");
    bar.dataset.kind = kind;
    bar.style.flexGrow = kinds[kind];
    return bar;
  });
  $("n-ends").replaceChildren(...bars);
}

// ---- Calls ----

const ORDERS = {
  newest: (a, b) => b.id - a.id,
  longest: (a, b) => b.seconds - a.seconds || a.id - b.id,
  slowest: (a, b) => b.answer_ms - a.answer_ms || b.id - a.id,
  line: (a, b) => (Number(a.mos) || 9) - (Number(b.mos) || 9) || b.id - a.id,
};

function isWanted(call, words) {
  const text = [call.caller, call.called, call.name, call.agent, call.channel, call.state, call.conversation_id, call.said].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function showCalls() {
  const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const calls = [...model.calls.values()].map((known) => known.data);
  const shown = calls.filter((call) => isWanted(call, words)).sort(ORDERS[$("order").value]);
  const list = $("call-list");
  const kept = new Set(shown.map((call) => call.id));
  for (const [id, row] of rows) {
    if (!kept.has(id)) {
      dropRow(id, row);
    }
  }
  let before = list.firstElementChild;
  for (const call of shown) {
    const row = rows.get(call.id) || makeRow(call);
    if (row === before) {
      before = before.nextElementSibling;
    } else {
      list.insertBefore(row, before);
    }
    showRow(row, call);
  }
  put($("calls-title"), words.length ? `Calls: ${shown.length} of ${calls.length}` : `Calls`);
  $("no-calls").hidden = shown.length > 0;
  put($("no-calls"), calls.length ? "No call is like that." : "No calls at the moment.");
}

function makeRow(call) {
  const row = $("call-row").content.firstElementChild.cloneNode(true);
  row.dataset.id = call.id;
  row.firstElementChild.addEventListener("click", () => openCall(call.id));
  rows.set(call.id, row);
  watcher.observe(row);
  return row;
}

function dropRow(id, row) {
  const hadFocus = row.contains(document.activeElement);
  const next = row.nextElementSibling || row.previousElementSibling;
  watcher.unobserve(row);
  visible.delete(id);
  rows.delete(id);
  row.remove();
  if (hadFocus) {
    (next ? next.firstElementChild : $("calls")).focus();
  }
}

function showRow(row, call) {
  const find = (name) => row.querySelector(name);
  const dot = find(".dot");
  mark(dot, "state", stateOf(call));
  dot.title = stateOf(call);
  put(find(".number"), partyOf(call));
  const state = stateOf(call) === "talking" ? "" : stateOf(call);
  put(find(".name"), [call.name === partyOf(call) ? "" : call.name, call.outbound ? "called by us" : "", state].filter(Boolean).join(" · "));
  put(find(".agent"), call.agent);
  put(find(".said"), call.said);
  mark(find(".said"), "speaker", call.speaker);
  put(find(".answer"), call.answers ? seconds(call.answer_ms) : "–");
  find(".answer").className = `answer figure ${call.answers ? answerKind(call.answer_ms) : ""}`;
  put(find(".mos"), call.mos ? Number(call.mos).toFixed(1) : "–");
  find(".mos").className = `mos figure ${mosKind(Number(call.mos))}`;
  put(find(".time"), duration(call.seconds));
  const isOpen = model.looked && model.looked.id === call.id;
  row.firstElementChild.setAttribute("aria-pressed", String(Boolean(isOpen)));
  if (visible.has(call.id)) {
    drawRow(call.id);
  }
}

function drawRow(id) {
  const known = model.calls.get(id);
  const row = rows.get(id);
  if (known && row) {
    drawWave(row.querySelector(".wave"), known.levels, 300, 5);
  }
}

// ---- Agents ----

const AGENT_STATES = { free: "free", full: "full", away: "not to be had" };

function showAgents() {
  const items = model.agents.map((agent) => {
    const item = make("li");
    const name = make("p", "agent-name");
    const dot = make("i", "dot");
    dot.dataset.state = agent.state;
    name.append(dot, make("b", "", agent.name), make("span", "", AGENT_STATES[agent.state] || agent.state));
    const queued = [...model.calls.values()].filter((known) => known.data.agent === agent.name && known.data.state === "queued").length;
    const up = `${agent.sessions}${agent.max_sessions ? ` of ${agent.max_sessions}` : ""} up${queued ? `, ${queued} waiting` : ""} · ${agent.calls} in all`;
    item.append(name, make("p", "", up));
    if (agent.max_sessions) {
      const meter = make("div", "meter");
      const fill = make("i");
      fill.style.width = `${Math.min(100, (agent.sessions / agent.max_sessions) * 100)}%`;
      meter.append(fill);
      item.append(meter);
    }
    const ends = Object.entries(agent.ends).sort((a, b) => b[1] - a[1]).map(([status, count]) => `${status} ${count}`);
    item.append(make("p", "agent-ends", ends.join(" · ")));
    return item;
  });
  const text = JSON.stringify(model.agents) + [...model.calls.values()].map((known) => known.data.state).join();
  if ($("agent-list").dataset.shown !== text) {
    $("agent-list").dataset.shown = text;
    $("agent-list").replaceChildren(...items);
  }
}

// ---- Endings ----

let endingShown = -1;

function showEndings() {
  const list = $("ending-list");
  const newest = model.endings.length ? model.endings[0].number : 0;
  $("no-endings").hidden = model.endings.length > 0;
  if (newest !== endingShown) {
    endingShown = newest;
    const open = document.activeElement && document.activeElement.dataset.ending;
    list.replaceChildren(...model.endings.map(makeEnding));
    if (open) {
      const again = list.querySelector(`[data-ending="${CSS.escape(open)}"]`);
      (again || $("endings-title")).focus();
    }
  }
  for (const row of list.querySelectorAll(".past")) {
    row.setAttribute("aria-pressed", String(Boolean(model.looked && Number(row.dataset.ending) === model.looked.id)));
  }
}

function makeEnding(call) {
  const item = make("li");
  const row = make("button", "row past");
  const end = call.ending || {};
  row.dataset.ending = call.id;
  row.addEventListener("click", () => openCall(call.id));
  const when = make("time", "when", clock(end.Time || call.started));
  const badge = make("span", "badge", end.Status || "?");
  badge.dataset.kind = kindOf(end.Status);
  const answered = Number(end.Answers) ? seconds(end.LatencyMs) : "–";
  const reason = make("span", "reason", [end.Reason, end.Detail].filter(Boolean).join(" – "));
  reason.title = reason.textContent;
  row.append(when, make("b", "number", partyOf(call)), make("span", "agent", end.Agent), badge, reason,
    make("span", "answer figure", answered), make("span", "time figure", duration(Number(end.Duration) || 0)));
  item.append(row);
  return item;
}
