"use strict";
// The call that is looked at: levels, answers, figures, words, and what can be done to it.

const SURE_MS = 5000; // so long the second press on "hang up" counts
const FOLLOW_PX = 40; // who is so near to the newest words wants to see the next

let turnsDrawn = 0; // elements that stand for turns, in their order
let drawnFor = 0;
let openedFrom = null; // what had the focus, to be given back

function openCall(id) {
  if (model.looked && model.looked.id === id) {
    $("detail").focus();
    return;
  }
  openedFrom = document.activeElement;
  if (drawnFor !== id) {
    // What was written for one call is not sent to another.
    $("d-act").elements.text.value = "";
  }
  look(id);
  takeLooked(model.looked, null);
  $("detail").hidden = false;
  document.querySelector(".columns").dataset.open = "";
  $("d-done").textContent = "";
  notSure();
  show();
  connect();
  $("detail").focus();
}

function hideDetail() {
  $("detail").hidden = true;
  delete document.querySelector(".columns").dataset.open;
}

function closeCall() {
  if (!model.looked) {
    return;
  }
  const { id } = model.looked;
  look(0);
  hideDetail();
  connect();
  show();
  const row = rows.get(id);
  const back = row ? row.firstElementChild : openedFrom && openedFrom.isConnected ? openedFrom : $("calls");
  back.focus();
}

function showDetail() {
  const { looked } = model;
  if (!looked) {
    // The module was loaded anew: there is no such call any more.
    hideDetail();
    return;
  }
  // Before anything above the words grows or goes: who is at their end stays there.
  const follows = drawnFor !== looked.id || isAtEnd($("d-words"));
  const call = looked.call ? looked.call.data : looked.ending;
  const end = looked.ending && looked.ending.ending;
  if (!call) {
    return;
  }
  put($("d-title"), partyOf(call));
  const agent = call.agent || (end && end.Agent);
  const id = call.conversation_id || (end && end.ConversationId);
  put($("d-about"), [call.name === partyOf(call) ? "" : call.name, `with ${agent}`, call.channel].filter(Boolean).join(" · "));
  put($("d-id"), id || "");
  put($("d-state"), looked.isUp ? stateOf(call) : end ? end.Status : "over");
  mark($("d-state"), "kind", looked.isUp ? (stateOf(call) === "talking" ? "good" : "warn") : end ? kindOf(end.Status) : "");
  $("d-ending").hidden = looked.isUp || !end;
  put($("d-ending"), end ? [end.Reason, end.Detail].filter(Boolean).join(" – ") : "");
  $("d-report").firstElementChild.href = `${HERE}/report?call=${looked.id}`;
  const levels = looked.call ? looked.call.levels : [];
  $("d-levels").hidden = !looked.call;
  drawWave($("d-levels").querySelector("svg"), levels, 600, 4);
  showAnswers(looked, call, end);
  showFacts(looked.isUp ? call : null, call, end);
  const mayAct = looked.isUp && Boolean(model.module.may_call);
  if (!mayAct && $("d-act").contains(document.activeElement)) {
    $("detail").focus();
  }
  $("d-act").hidden = !mayAct;
  $("d-may-not").hidden = !looked.isUp || Boolean(model.module.may_call);
  showWords(looked, follows);
}

function showAnswers(looked, call, end) {
  const count = looked.isUp || !end ? call.answers : Number(end.Answers);
  const middle = looked.isUp || !end ? call.answer_ms : end.LatencyMs;
  const worst = looked.isUp || !end ? call.answer_max_ms : end.LatencyMaxMs;
  $("d-answers").hidden = !count;
  put($("d-answer-text"), count ? `${count} ${count === 1 ? "answer" : "answers"}, median ${seconds(middle)}, slowest ${seconds(worst)}` : "");
  $("d-answers").querySelector(".plot").hidden = !looked.answers.length;
  const text = looked.answers.join();
  if ($("d-answers").dataset.shown !== text) {
    $("d-answers").dataset.shown = text;
    drawAnswers($("d-answers"), looked.answers);
  }
}

function showFacts(up, call, end) {
  const facts = [
    ["Time", up ? duration(call.seconds) : end ? duration(Number(end.Duration)) : ""],
    ["MOS", (up ? call.mos : end && end.Mos) || "–"],
    ["Jitter", unit(up ? call.jitter_ms : end && end.JitterMs, "ms")],
    ["Lost", unit(up ? call.loss_percent : end && end.LossPercent, "%")],
    ["Round trip", unit(up ? call.round_trip_ms : end && end.RoundTripMs, "ms", "")],
    ["Gaps filled", up && call.missing_ms >= 100 ? seconds(call.missing_ms) : ""],
    ["Interruptions", String((up ? call.interruptions : Number(end && end.Interruptions)) || "")],
    ["Tools", up ? String(call.tools || "") : ""],
    ["In the queue", Number(up ? call.queued : end && end.Queued) ? duration(Number(up ? call.queued : end.Queued)) : ""],
  ];
  const nodes = facts.filter(([, value]) => value).map(([name, value]) => {
    const box = make("div");
    box.append(make("dt", "", name), make("dd", "", value));
    return box;
  });
  const text = JSON.stringify(facts);
  if ($("d-facts").dataset.shown !== text) {
    $("d-facts").dataset.shown = text;
    $("d-facts").replaceChildren(...nodes);
  }
}

function unit(value, name, none = "–") {
  return value ? `${value} ${name}` : none;
}

// ---- Words ----

function showWords(looked, follows) {
  const box = $("d-words");
  if (drawnFor !== looked.id || turnsDrawn > looked.turns.length) {
    box.replaceChildren();
    drawnFor = looked.id;
    turnsDrawn = 0;
  }
  if (!looked.turns.length) {
    if (!box.firstElementChild) {
      box.append(make("p", "empty", "Nothing yet. What is said is shown where transcripts is events or all in elevenlabs.conf."));
    }
    return;
  }
  if (!turnsDrawn) {
    box.replaceChildren();
  }
  looked.turns.forEach((turn, i) => {
    let node = box.children[i];
    if (!node || node.turn !== turn) {
      node = turn.remark ? make("p", "event") : make("div", "turn");
      node.turn = turn;
      box.replaceChild(node, box.children[i] || box.appendChild(make("p")));
    }
    drawTurn(node, turn);
  });
  while (box.children.length > looked.turns.length) {
    box.lastElementChild.remove();
  }
  turnsDrawn = looked.turns.length;
  $("d-newest").hidden = follows;
  if (follows) {
    box.scrollTop = box.scrollHeight;
  }
}

function isAtEnd(box) {
  return box.scrollHeight - box.scrollTop - box.clientHeight < FOLLOW_PX;
}

function drawTurn(node, turn) {
  if (node.version === (turn.version || 0)) {
    return;
  }
  node.version = turn.version || 0;
  if (turn.remark) {
    put(node, turn.remark);
    mark(node, "kind", turn.kind);
    return;
  }
  mark(node, "speaker", turn.speaker);
  mark(node, "open", turn.isFinal ? "" : "1");
  const head = make("small", "", turn.speaker);
  head.append(make("time", "", clock(turn.time)));
  node.replaceChildren(head);
  if (turn.heard === undefined) {
    node.append(turn.text + (turn.isCut ? " …" : ""));
    return;
  }
  const unheard = turn.text.startsWith(turn.heard) ? turn.text.slice(turn.heard.length) : "";
  const struck = make("s", "", unheard);
  struck.title = "The caller has not heard this";
  node.append(turn.heard || "", make("span", "unseen", " not heard: "), struck);
}

// ---- What can be done ----

let sureTimer = 0;

function notSure() {
  clearTimeout(sureTimer);
  delete $("d-hangup").dataset.sure;
  put($("d-hangup"), "Hang up");
}

async function hangUp() {
  if (!("sure" in $("d-hangup").dataset)) {
    $("d-hangup").dataset.sure = "";
    put($("d-hangup"), "Press again to hang up");
    sureTimer = setTimeout(notSure, SURE_MS);
    return;
  }
  notSure();
  await act("hangup", {});
}

async function sendText() {
  const form = $("d-act");
  const button = form.querySelector(".say button");
  const text = form.elements.text.value.trim();
  if (!text || button.disabled) {
    form.elements.text.focus();
    return;
  }
  button.disabled = true;
  if (await act("say", { type: form.elements.type.value, text })) {
    form.elements.text.value = "";
  }
  button.disabled = false;
}

/** Have the server do something to this call. Whether it has. */
async function act(what, fields) {
  const { looked } = model;
  const answer = await post(what, { call: String(looked.id), since: String(model.since), ...fields });
  if (!model.looked || model.looked.id !== looked.id) {
    return false;
  }
  mark($("d-done"), "failed", answer.done ? "" : "1");
  put($("d-done"), answer.text);
  return answer.done;
}
