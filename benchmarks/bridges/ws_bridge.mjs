// A bridge with Node's `ws`, without compression. Codec: tables for mu-law, linear interpolation in JavaScript.
//
//     node ws_bridge.mjs --port 8080 --vapi-url http://127.0.0.1:9001
//
// ws is found beside this file (npm install --no-save --prefix benchmarks/bridges ws) or in NODE_PATH.
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const WebSocket = createRequire(import.meta.url)("ws");

const { values: options } = parseArgs({
  options: { port: { type: "string" }, "vapi-url": { type: "string" } },
});

// --- ITU-T G.711 mu-law ---------------------------------------------------------------------------------------
const decodeTable = new Int16Array(256);
for (let code = 0; code < 256; code++) {
  const bits = ~code & 0xff;
  const magnitude = ((((bits & 15) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
  decodeTable[code] = bits & 0x80 ? -magnitude : magnitude;
}

const encodeTable = new Uint8Array(65536); // by the sample as an unsigned number
for (let sample = -32768; sample < 32768; sample++) {
  const biased = Math.min(Math.abs(sample), 32635) + 0x84;
  const exponent = 24 - Math.clz32(biased); // 0x84 is the first of segment 0
  encodeTable[sample & 0xffff] = ~((sample < 0 ? 0x80 : 0) | (exponent << 4) | ((biased >> (exponent + 3)) & 15));
}

// Each sample, and before it the mean of it and the last one.
function toWide(mulaw, call) {
  const pcm = new Int16Array(2 * mulaw.length);
  let last = call.last;
  for (let i = 0; i < mulaw.length; i++) {
    const sample = decodeTable[mulaw[i]];
    pcm[2 * i] = (last + sample) >> 1;
    pcm[2 * i + 1] = sample;
    last = sample;
  }
  call.last = last;
  return Buffer.from(pcm.buffer);
}

// Every second sample.
function toMulaw(bytes) {
  const mulaw = Buffer.allocUnsafe(bytes.length >> 2);
  for (let i = 0; i < mulaw.length; i++) mulaw[i] = encodeTable[bytes[4 * i] | (bytes[4 * i + 1] << 8)];
  return mulaw;
}

// --- calls ----------------------------------------------------------------------------------------------------
async function createCall() {
  const audioFormat = { format: "pcm_s16le", container: "raw", sampleRate: 16000 };
  const response = await fetch(`${options["vapi-url"]}/call`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ assistantId: "asst_1", transport: { provider: "vapi.websocket", audioFormat } }),
  });
  return (await response.json()).transport.websocketCallUrl;
}

async function bridge(phone) {
  const call = { last: 0, before: "", vapi: null };
  phone.pause(); // until Vapi's leg is there
  phone.on("message", (data) => {
    const message = JSON.parse(data);
    if (message.event === "media") call.vapi.send(toWide(Buffer.from(message.media.payload, "base64"), call));
    else if (message.event === "start") {
      call.before = `{"event":"media","streamSid":"${message.streamSid}","media":{"payload":"`;
      call.clear = JSON.stringify({ event: "clear", streamSid: message.streamSid });
      call.vapi.resume();
    } else if (message.event === "stop") phone.close(1000);
  });
  phone.on("error", () => phone.terminate());
  phone.on("close", () => call.vapi?.close(1000));

  const vapi = new WebSocket(await createCall(), { perMessageDeflate: false });
  vapi.on("open", () => {
    call.vapi = vapi;
    vapi.pause(); // until the stream has started
    phone.resume();
  });
  vapi.on("message", (data, isBinary) => {
    if (isBinary) phone.send(`${call.before}${toMulaw(data).toString("base64")}"}}`);
    else if (JSON.parse(data).type === "user-interrupted") phone.send(call.clear);
  });
  vapi.on("error", () => vapi.terminate());
  vapi.on("close", () => phone.close(1000));
}

new WebSocket.Server({
  host: "127.0.0.1",
  port: Number(options.port),
  path: "/twilio/media",
  perMessageDeflate: false,
}).on("connection", (phone) => bridge(phone).catch(() => phone.terminate()));
