// The caller's side shared by the JavaScript clients: 16 kHz audio in real time.
import { createHash } from "node:crypto";

export const RATE = 16000;
const CHUNK_MS = 100;
const GREETING_BYTES = 19200;
const ENDING_BYTES = 2 * 19200; // what is said after the interruption
// Milliseconds from the agent's text to the caller's next words; the second one interrupts.
const SPEAK_AFTER = { "Greeting.": 900, "A long answer.": 1000, "The sum is 5.": 900 };

function tone(ms) {
  const data = Buffer.alloc((RATE * ms) / 500);
  for (let n = 0; n < data.length / 2; n++) {
    data.writeInt16LE(Math.trunc(9000 * Math.sin((2 * Math.PI * 440 * n) / RATE)), 2 * n);
  }
  return data;
}

export class Line {
  heard = Buffer.alloc(0);
  interrupts = 0;
  #queue = Buffer.alloc(0);
  #timer = null;

  // Calls send(Buffer) with a chunk of speech or silence every 100 ms of the clock.
  start(send) {
    const began = performance.now();
    let sent = 0;
    this.#timer = setInterval(() => {
      while (sent * CHUNK_MS <= performance.now() - began) {
        send(this.#chunk());
        sent++;
      }
    }, CHUNK_MS / 2);
  }

  stop() {
    clearInterval(this.#timer);
  }

  output(audio) {
    this.heard = Buffer.concat([this.heard, audio]);
  }

  interrupt() {
    this.interrupts++;
  }

  // The agent has begun to say this text: answer it, or interrupt it.
  answer(text) {
    if (text in SPEAK_AFTER) {
      setTimeout(() => {
        this.#queue = Buffer.concat([this.#queue, tone(750)]);
      }, SPEAK_AFTER[text]).unref();
    }
  }

  result() {
    const hash = (audio) => createHash("sha256").update(audio).digest("hex");
    return {
      interrupts: this.interrupts,
      heard_bytes: this.heard.length,
      greeting: hash(this.heard.subarray(0, GREETING_BYTES)),
      ending: hash(this.heard.subarray(-ENDING_BYTES)),
    };
  }

  #chunk() {
    const size = (RATE * CHUNK_MS) / 500;
    const data = Buffer.alloc(size);
    this.#queue.copy(data, 0, 0, size);
    this.#queue = this.#queue.subarray(size);
    return data;
  }
}
