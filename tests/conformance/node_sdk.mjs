// One conversation with the official Node client; the last line of output is its result.
//   node node_sdk.mjs BASE_URL AGENT_ID signed|said
// (The WebSocket host of public agents is fixed in this client, so there is no public mode.)
import { createRequire } from "node:module";
import { Line } from "./caller.mjs";

const require = createRequire(import.meta.url);
const { ElevenLabsClient } = require("@elevenlabs/elevenlabs-js");
const { Conversation, ClientTools } =
  require("@elevenlabs/elevenlabs-js/api/resources/conversationalAi/conversation");

const [baseUrl, agentId, mode] = process.argv.slice(2);
const OVERRIDDEN = "Another greeting.";
const line = new Line();
const seen = { responses: [], transcripts: [], corrections: [], tools: [] };
const tools = new ClientTools();
tools.register("add", ({ a, b }) => {
  seen.tools.push({ a, b });
  return String(a + b);
});

function sayAll() {
  conversation.sendContextualUpdate("The caller is new.");
  conversation.registerUserActivity();
  conversation.sendUserMessage("hello");
}

function finish() {
  line.stop();
  console.log(JSON.stringify({ ...seen, ...line.result() }));
  process.exit(0);
}

const conversation = new Conversation({
  client: new ElevenLabsClient({ apiKey: "test-key", baseUrl, maxRetries: 0 }),
  agentId,
  requiresAuth: true,
  audioInterface: line,
  clientTools: tools,
  config: {
    extraBody: {},
    conversationConfigOverride: mode === "said" ? { agent: { first_message: OVERRIDDEN } } : {},
    dynamicVariables: { caller: "0123" },
  },
  callbackAgentResponse: (text) => {
    seen.responses.push(text);
    line.answer(text);
    if (text === OVERRIDDEN) setTimeout(sayAll, 500);
  },
  callbackAgentResponseCorrection: (old, corrected) => seen.corrections.push([old, corrected]),
  callbackUserTranscript: (text) => seen.transcripts.push(text),
});
conversation.on("session_ended", (details) => {
  seen.session_ended = details ?? null;
  setTimeout(finish, 50);
});
conversation.on("error", (error) => {
  seen.error = String(error);
});
try {
  await conversation.startSession();
  seen.conversation_id = conversation.getConversationId();
} catch (error) {
  seen.http_status = error?.statusCode ?? error?.cause?.statusCode ?? null;
  seen.error = String(error);
  finish();
}
