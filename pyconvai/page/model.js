"use strict";
// What the page knows: calls, endings, and the words of the call that is looked at. Nothing here touches the page.

const LEVELS_KEPT = 600; // of each side, ten a second: a minute
const ENDINGS_KEPT = 50;
const HISTORY_KEPT = 300; // numbers of calls, one a second
const TURNS_KEPT = 400;

const model = {
  since: 0, // when the module was loaded: another one counts its calls anew
  now: 0,
  module: {},
  agents: [],
  calls: new Map(), // by id, oldest first
  endings: [], // newest first
  history: [],
  looked: null, // the call that is looked at, or null: see look()
};

/** Begin to look at a call, or (0) at none. */
function look(id) {
  model.looked = id ? { id, next: 0, turns: [], byKey: new Map(), answers: [], call: null, ending: null } : null;
}

/** Take over a status as the server sends it. */
function take(status) {
  if (status.since !== model.since) {
    model.calls.clear();
    model.endings = [];
    if (model.since) {
      look(0);
    }
    model.since = status.since;
  }
  model.now = status.now;
  model.module = status;
  model.agents = status.agents || [];
  takeCalls(status.calls);
  takeEndings(status.endings);
  model.history.push(status.calls.length);
  if (model.history.length > HISTORY_KEPT) {
    model.history.shift();
  }
  if (model.looked) {
    takeLooked(model.looked, status.call);
  }
}

function takeCalls(calls) {
  const gone = new Set(model.calls.keys());
  for (const call of calls) {
    gone.delete(call.id);
    const known = model.calls.get(call.id) || { levels: [], levelsNext: 0 };
    takeLevels(known, call);
    known.data = call;
    model.calls.set(call.id, known);
  }
  for (const id of gone) {
    model.calls.delete(id);
  }
}

/** Levels come with the number of the first: those that are known already are left out. */
function takeLevels(known, call) {
  const levels = call.levels || [];
  let at = call.levels_at || 0;
  for (let i = 0; i + 1 < levels.length; i += 2, at++) {
    if (at < known.levelsNext) {
      continue;
    }
    known.levels.push([levels[i], levels[i + 1]]);
    known.levelsNext = at + 1;
  }
  if (known.levels.length > LEVELS_KEPT) {
    known.levels.splice(0, known.levels.length - LEVELS_KEPT);
  }
}

function takeEndings(endings) {
  const newest = model.endings.length ? model.endings[0].number : 0;
  const fresh = endings.filter((ending) => ending.number > newest);
  model.endings = [...fresh, ...model.endings].slice(0, ENDINGS_KEPT);
}

function takeLooked(looked, sent) {
  const known = model.calls.get(looked.id);
  looked.call = known || looked.call;
  looked.isUp = Boolean(known);
  looked.ending = model.endings.find((ending) => ending.id === looked.id) || looked.ending;
  if (!sent || sent.id !== looked.id) {
    return;
  }
  const first = sent.next - sent.events.length;
  sent.events.forEach((event, i) => {
    if (first + i >= looked.next) {
      takeEvent(looked, event.event, event.fields);
    }
  });
  looked.next = Math.max(looked.next, sent.next);
  if (sent.answers) {
    looked.answers = sent.answers;
  }
}

/** An event of a call becomes a turn, a change of one, or a remark between turns. */
function takeEvent(looked, name, fields) {
  const add = (turn) => {
    looked.turns.push(turn);
    if (looked.turns.length > TURNS_KEPT) {
      looked.turns.shift();
    }
    return turn;
  };
  const remark = (text, kind) => add({ remark: text, kind, time: fields.Time });
  switch (name) {
    case "ElevenLabsTranscript": {
      const key = `${fields.Speaker} ${fields.ResponseId}`;
      let turn = looked.byKey.get(key);
      if (!turn) {
        turn = add({ speaker: fields.Speaker, time: fields.Time });
        looked.byKey.set(key, turn);
      }
      turn.text = fields.Text;
      turn.isCut = fields.Truncated === "1";
      turn.isFinal = fields.Final === "1";
      if (fields.Heard !== undefined && Number(fields.HeardMs) < Number(fields.LengthMs)) {
        turn.heard = fields.Heard;
      }
      turn.version = (turn.version || 0) + 1;
      break;
    }
    case "ElevenLabsStart": return void remark(`${fields.Agent} is there`);
    case "ElevenLabsQueue": return void remark(`queue: ${fields.Status.replace("_", " ")}${Number(fields.Waited) ? ` after ${fields.Waited} s` : ""}`);
    case "ElevenLabsInterruption": return void remark("the caller interrupts");
    case "ElevenLabsStep": return void remark(stepText("step", fields), fields.State === "failed" ? "bad" : "");
    case "ElevenLabsTool": return void remark(stepText("tool", fields), fields.State === "failed" ? "bad" : "");
    case "ElevenLabsEnd": return void remark(`${fields.Status}: ${fields.Reason}`, kindOf(fields.Status));
    default:
  }
}

function stepText(what, fields) {
  const took = fields.ElapsedMs && fields.State !== "begun" && fields.State !== "called" ? ` in ${seconds(fields.ElapsedMs)}` : "";
  return `${what} ${fields.Tool} ${fields.State}${took}`;
}

// ---- Words for figures ----

/** What an ending is: as it is meant to be, a refusal, or trouble. */
function kindOf(status) {
  if (["AGENT_ENDED", "HANGUP", "TRANSFER"].includes(status)) {
    return "good";
  }
  return ["TIMEOUT", "LIMIT", "UNLOADED"].includes(status) ? "warn" : "bad";
}

/** How soon an agent answers, to a caller's ear. */
function answerKind(ms) {
  return ms > 3000 ? "bad" : ms > 1500 ? "warn" : "";
}

/** A mean opinion score: below 3.6 many callers are dissatisfied (G.107). */
function mosKind(mos) {
  return mos && mos < 3.1 ? "bad" : mos && mos < 3.6 ? "warn" : "";
}

function seconds(ms) {
  return ms === "" || ms === undefined ? "" : `${(Number(ms) / 1000).toFixed(1)} s`;
}

function duration(s) {
  const whole = Math.max(0, Math.floor(s));
  const minutes = String(Math.floor(whole / 60) % 60);
  const rest = String(whole % 60).padStart(2, "0");
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${minutes.padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function clock(time) {
  return new Date(time).toLocaleTimeString("en-GB");
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor((sorted.length - 1) / 2)] : undefined;
}

/** Who is at the other end: a number, a name, or the channel where both are withheld. */
function partyOf(call) {
  return (call.outbound ? call.called : call.caller) || call.name || "Number withheld";
}

function stateOf(call) {
  return call.hold ? "hold" : call.state;
}
