// One conversation with the official browser client, in Node; the last line of output is its result.
//   node client_js.mjs BASE_URL AGENT_ID public|signed|text|said
// public, signed: its connection layer with audio; text, said: its whole session logic, typed.
import WebSocket from "ws";
import { Line } from "./caller.mjs";

// As in a browser, each message is an event of its own: the client adds its listener between the
// first and the second message, and would miss one that came in the same read.
globalThis.WebSocket = class extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { allowSynchronousEvents: false });
  }
};
const { createConnection, Conversation } = await import("@elevenlabs/client");

const [baseUrl, agentId, mode] = process.argv.slice(2);
const origin = baseUrl.replace(/^http/, "ws");
const line = new Line();
const seen = { responses: [], transcripts: [], corrections: [], tools: [] };

function finish() {
  line.stop();
  console.log(JSON.stringify({ ...seen, ...line.result() }));
  process.exit(0);
}

function add({ a, b }) {
  seen.tools.push({ a, b });
  return String(a + b);
}

async function signedUrl() {
  const path = `/v1/convai/conversation/get-signed-url?agent_id=${agentId}`;
  const response = await fetch(baseUrl + path, { headers: { "xi-api-key": "test-key" } });
  if (!response.ok) {
    seen.http_status = response.status;
    finish();
  }
  return (await response.json()).signed_url;
}

function disconnected(details) {
  seen.closed = { reason: details.reason, close_code: details.closeCode ?? null,
                  close_reason: details.closeReason ?? null };
  setTimeout(finish, 50);
}

async function typed() {
  // Typed answers to what the agent says; the second one interrupts it.
  const replies = { "Greeting.": "hello", "A long answer.": "stop", "The sum is 5.": "bye" };
  let session;
  session = await Conversation.startSession({
    signedUrl: await signedUrl(),
    textOnly: true,
    clientTools: { add },
    onMessage: ({ source, message }) => {
      if (source !== "ai") {
        seen.transcripts.push(message);
        return;
      }
      seen.responses.push(message);
      setTimeout(() => message in replies && session.sendUserMessage(replies[message]), 900);
    },
    onInterruption: () => line.interrupt(),
    onDisconnect: disconnected,
  });
  seen.conversation_id = session.getId();
}

async function said() {
  const greeting = "Another greeting.";
  const session = await Conversation.startSession({
    signedUrl: await signedUrl(),
    textOnly: true,
    overrides: { agent: { firstMessage: greeting } },
    onMessage: ({ source, message }) => {
      if (source !== "ai") return;
      seen.responses.push(message);
      if (message === greeting) setTimeout(() => {
        session.sendFeedback(true);
        session.sendContextualUpdate("The caller is new.");
        session.sendUserActivity();
        session.sendUserMessage("hello");
      }, 500);
    },
    onDisconnect: disconnected,
  });
}

async function spoken() {
  const target = mode === "signed" ? { signedUrl: await signedUrl() } : { agentId, origin };
  const connection = await createConnection({ ...target, connectionType: "websocket" });
  seen.conversation_id = connection.conversationId;
  seen.formats = [connection.inputFormat, connection.outputFormat];
  connection.addListener?.(() => {});
  connection.onMessage((event) => handle(connection, event));
  connection.onDisconnect(disconnected);
  line.start((data) => connection.sendMessage({ user_audio_chunk: data.toString("base64") }));
}

async function handle(connection, event) {
  if (event.type === "audio") {
    line.output(Buffer.from(event.audio_event.audio_base_64, "base64"));
  } else if (event.type === "ping") {
    connection.sendMessage({ type: "pong", event_id: event.ping_event.event_id });
  } else if (event.type === "interruption") {
    line.interrupt();
  } else if (event.type === "agent_response") {
    seen.responses.push(event.agent_response_event.agent_response);
    line.answer(event.agent_response_event.agent_response);
  } else if (event.type === "agent_response_correction") {
    const body = event.agent_response_correction_event;
    seen.corrections.push([body.original_agent_response, body.corrected_agent_response]);
  } else if (event.type === "user_transcript") {
    seen.transcripts.push(event.user_transcription_event.user_transcript);
  } else if (event.type === "client_tool_call") {
    const call = event.client_tool_call;
    connection.sendMessage({ type: "client_tool_result", tool_call_id: call.tool_call_id,
                             result: add(call.parameters), is_error: false });
  }
}

try {
  await ({ text: typed, said }[mode] ?? spoken)();
} catch (error) {
  seen.error = String(error);
  seen.closed ??= { reason: "error", close_code: error?.closeCode ?? null,
                    close_reason: error?.closeReason ?? null };
  finish();
}
