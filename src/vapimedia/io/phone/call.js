// One call: microphone and loudspeaker, joined to the bridge by one WebSocket.
//
// What a call tells its owner:
//   state(name, text)      asking | connecting | live | ended
//   transcript(role, text, final)
//   speech(role, speaking)
//   interrupted()
//   paused(isPaused)       the system took the sound away, or gave it back

import { CallError, ask, leave, openSocket } from "./bridge.js";

const DEFAULT_RATE = 48000;
const CONNECT_TIMEOUT_MS = 10000;
const ANSWER_TIMEOUT_MS = 20000;
const RESUME_TIMEOUT_MS = 500;
const LAST_WORDS_MS = 1000;
const MAX_WAITING_MS = 200; // of the microphone's audio that the network has not taken yet

const MICROPHONE_ERRORS = new Map([
  ["NotAllowedError", "The microphone was refused. Allow it for this page, then call again."],
  ["NotFoundError", "No microphone was found. Plug one in, then call again."],
  ["NotReadableError", "The microphone cannot be opened. Another program may be using it."],
  ["OverconstrainedError", "The microphone cannot do what was asked. Try without the headset option."],
]);

const CLOSE_TEXTS = {
  1000: "The call has ended.",
  1001: "The bridge is shutting down.",
  1005: "The call has ended.",
  1006: "The connection was lost.",
};

// The bridge takes whole 20 ms frames at 8 to 96 kHz.
const isPossible = (rate) => rate >= 8000 && rate <= 96000 && (rate * 20) % 1000 === 0;

// A promise that never settles must not hold up a call: resume() of a sound that the system keeps is one.
const within = (promise, ms) => Promise.race([promise, new Promise((resolve) => setTimeout(resolve, ms))]);

const loudness = (samples) => {
  let energy = 0;
  for (const sample of samples) {
    energy += sample * sample;
  }
  return Math.sqrt(energy / Math.max(1, samples.length)) / 32768;
};

export class Call {
  constructor(owner, { key = "", raw = false } = {}) {
    this.owner = owner;
    this.key = key;
    this.raw = raw;
    this.state = "new";
    this.endedReason = null;
    this.stats = {
      rate: 0,
      sentMs: 0,
      unsentMs: 0,
      playedMs: 0,
      queuedMs: 0,
      droppedMs: 0,
      underruns: 0,
      gapsMs: [],
      interruptions: 0,
      levels: { you: 0, assistant: 0 },
    };
    this.context = null;
    this.stream = null;
    this.source = null;
    this.socket = null;
    this.playback = null;
    this.muted = false;
    this.first = true; // the next audio begins an utterance
    this.odd = null; // half a sample
    this.isReleased = false; // nothing of it moves any more
  }

  // Start the call. Must be called from a click: browsers start no sound otherwise.
  async start() {
    try {
      this.change("asking", "Asking for the microphone …");
      await this.openAudio();
      this.check();
      this.change("connecting", "Connecting …");
      await this.connect(await this.place());
      this.check();
      this.join();
      this.change("live", "In a call");
      await this.keepSounding();
    } catch (error) {
      if (this.state !== "ended") {
        if (!(error instanceof CallError)) {
          console.error(error);
          error = new CallError(`This browser cannot call (${error.name}). Try another one, or a newer version of it.`);
        }
        this.finish(error.message, error);
      }
    }
  }

  hangUp() {
    if (this.state !== "ended") {
      this.finish("You hung up.");
    }
  }

  press(digit) {
    this.say({ type: "dtmf", digit });
  }

  mute(muted) {
    this.muted = muted;
    this.stream?.getAudioTracks().forEach((track) => {
      track.enabled = !muted;
    });
  }

  // --- opening

  check() {
    if (this.state === "ended") {
      throw new CallError("The call was given up.");
    }
  }

  async openAudio() {
    if (!navigator.mediaDevices || !window.AudioWorkletNode) {
      throw new CallError(
        window.isSecureContext
          ? "This browser cannot call: it has no microphone access or no audio worklets."
          : "Browsers lend their microphone to pages over https or on localhost only.",
      );
    }
    this.context = new AudioContext({ latencyHint: "interactive" });
    if (!isPossible(this.context.sampleRate)) {
      await this.context.close();
      this.context = new AudioContext({ latencyHint: "interactive", sampleRate: DEFAULT_RATE });
    }
    this.stats.rate = this.context.sampleRate;
    const sounding = this.resume(); // now, as long as the click counts
    const processed = !this.raw;
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: {
          channelCount: 1,
          echoCancellation: processed,
          noiseSuppression: processed,
          autoGainControl: processed,
        },
      });
    } catch (error) {
      throw new CallError(MICROPHONE_ERRORS.get(error.name) ?? `The microphone failed: ${error.name}.`);
    }
    if (this.state === "ended") {
      this.release(); // given up while the browser was asking
    }
    this.check();
    this.mute(this.muted);
    try {
      this.source = this.context.createMediaStreamSource(this.stream);
    } catch {
      throw new CallError(
        "This browser cannot join a microphone and a loudspeaker of different sample rates. Set both to 48000 Hz.",
      );
    }
    await sounding;
    try {
      await Promise.all(["capture", "playback"].map((name) => this.context.audioWorklet.addModule(`/phone/${name}.js`)));
    } catch {
      throw new CallError("The page could not be loaded whole. Load it again.");
    }
  }

  // Return where the socket goes. The call runs at Vapi by then: an answer that comes when the caller has hung up or
  // waited too long is used to end it.
  async place() {
    const asked = ask(this.stats.rate, this.key);
    asked.then(
      (url) => {
        if (this.state === "ended") {
          leave(openSocket(url));
        }
      },
      () => {}, // told below
    );
    const url = await within(asked, ANSWER_TIMEOUT_MS);
    this.check();
    if (!url) {
      throw new CallError("The bridge does not answer.");
    }
    return url;
  }

  connect(url) {
    const socket = openSocket(url);
    this.socket = socket;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new CallError("The bridge does not answer."));
      }, CONNECT_TIMEOUT_MS);
      socket.onopen = () => {
        clearTimeout(timer);
        socket.onclose = (event) => this.closed(event.code);
        resolve();
      };
      socket.onclose = () => {
        clearTimeout(timer);
        reject(new CallError("The bridge refused the connection."));
      };
      socket.onmessage = (event) => this.take(event.data);
    });
  }

  join() {
    const options = { numberOfInputs: 1, numberOfOutputs: 1, channelCount: 1, channelCountMode: "explicit" };
    const capture = new AudioWorkletNode(this.context, "capture", options);
    capture.port.onmessage = (event) => this.send(event.data);
    this.source.connect(capture);
    capture.connect(this.context.destination); // silent; without it some browsers let the node sleep
    this.playback = new AudioWorkletNode(this.context, "playback", {
      numberOfInputs: 0,
      numberOfOutputs: 1,
      outputChannelCount: [1],
    });
    this.playback.port.onmessage = (event) => this.played(event.data);
    this.playback.connect(this.context.destination);
    const [track] = this.stream.getAudioTracks();
    track.onended = () => this.owner.state(this.state, "The microphone is gone. You can still listen.");
    this.context.onstatechange = () => this.keepSounding();
  }

  // --- the sound

  // Have the context run: after a click, or when the system allows it.
  resume() {
    return within(
      this.context?.resume().catch(() => {}), // the system keeps the sound, or the call is over
      RESUME_TIMEOUT_MS,
    );
  }

  // A phone call, a voice assistant or a locked screen takes the sound away, and does not always give it back.
  async keepSounding() {
    if (this.state === "live" && this.context.state !== "running") {
      await this.resume();
    }
    if (this.state === "live") {
      this.owner.paused(this.context.state !== "running");
    }
  }

  // --- the call

  say(message) {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify(message));
    }
  }

  send(samples) {
    if (this.socket?.readyState !== WebSocket.OPEN) {
      return;
    }
    this.stats.levels.you = this.muted ? 0 : loudness(samples);
    const lastsMs = (samples.length * 1000) / this.stats.rate;
    const waitingMs = (this.socket.bufferedAmount / samples.BYTES_PER_ELEMENT) * (1000 / this.stats.rate);
    if (waitingMs + lastsMs > MAX_WAITING_MS) {
      this.stats.unsentMs += lastsMs; // heard late it would be worth nothing
      return;
    }
    this.socket.send(samples.buffer);
    this.stats.sentMs += lastsMs;
  }

  take(data) {
    if (typeof data !== "string") {
      this.play(new Uint8Array(data));
      return;
    }
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    switch (message?.type) {
      case "user-interrupted":
        this.stats.interruptions += 1;
        this.odd = null;
        this.first = true;
        this.playback?.port.postMessage({ clear: true });
        this.owner.interrupted();
        break;
      case "transcript":
        this.owner.transcript(message.role, String(message.transcript ?? ""), message.transcriptType === "final");
        break;
      case "speech-update":
        // Either may come late: what follows a "stopped" is another utterance even before its "started".
        this.first = this.first || message.role === "assistant";
        this.owner.speech(message.role, message.status === "started");
        break;
      case "status-update":
        this.endedReason = message.status === "ended" ? message.endedReason : null;
        break;
      default:
    }
  }

  play(bytes) {
    // Any message size goes: half a sample waits for its other half.
    let whole = bytes;
    if (this.odd !== null) {
      whole = new Uint8Array(bytes.length + 1);
      whole[0] = this.odd;
      whole.set(bytes, 1);
      this.odd = null;
    }
    if (whole.length % 2) {
      this.odd = whole[whole.length - 1];
      whole = whole.slice(0, -1);
    }
    const audio = new Int16Array(whole.buffer, 0, whole.length / 2);
    if (audio.length > 0) {
      this.playback?.port.postMessage({ audio, first: this.first }, [audio.buffer]);
      this.first = false;
    }
  }

  played({ gapsMs, level, ...figures }) {
    Object.assign(this.stats, figures);
    this.stats.gapsMs.push(...gapsMs);
    this.stats.levels.assistant = level;
  }

  // --- the end

  closed(code) {
    if (this.state === "ended") {
      return;
    }
    const text = CLOSE_TEXTS[code] ?? "The bridge ended the call.";
    const clean = code === 1000 || code === 1005;
    const last = clean && this.playback ? Math.min(LAST_WORDS_MS, this.stats.queuedMs + 100) : 0;
    this.finish(this.endedReason ? `${text} (${this.endedReason})` : text, clean ? null : new CallError(text), last);
  }

  finish(text, error = null, lastMs = 0) {
    this.state = "ended";
    this.owner.state("ended", text, error);
    if (this.socket) {
      leave(this.socket);
    }
    this.stream?.getTracks().forEach((track) => track.stop());
    setTimeout(() => this.release(), lastMs); // the assistant's last words
  }

  release() {
    this.stream?.getTracks().forEach((track) => track.stop());
    if (this.context && this.context.state !== "closed") {
      this.context.close();
    }
    this.stats.levels = { you: 0, assistant: 0 };
    this.stats.queuedMs = 0;
    this.isReleased = true;
  }

  change(state, text) {
    this.state = state;
    this.owner.state(state, text);
  }
}
