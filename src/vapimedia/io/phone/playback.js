// The assistant's side: a queue that plays without a break once it has begun. Runs on the audio thread.
//
// In:  {audio: Int16Array, first: boolean}   first: an utterance begins with it
//      {clear: true}                         drop what is queued, at once
// Out: {playedMs, queuedMs, underruns, gapsMs: [new ones], droppedMs, level}   about every 20 ms, and after a clear

const CUSHION_MS = 100; // queued before an utterance begins
const RESUME_MS = 20; // and before it goes on after a break
const MAX_CUSHION_MS = 200;
const GROWTH_MS = 40; // more cushion for the next utterance, after a break in this one
const MAX_QUEUED_MS = 90000; // the bridge sends 60 s ahead at most
const FADE_SAMPLES = 192; // cutting a wave off clicks
const REPORT_QUANTA = 8;
const NOTHING = new Int16Array(0);

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = [];
    this.position = 0; // samples of the first queued piece that were played
    this.queuedSamples = 0;
    this.playedSamples = 0;
    this.droppedSamples = 0;
    this.fading = NOTHING; // what still sounds after a clear; the queue waits for it
    this.playing = false;
    this.waitedSamples = 0; // of silence since the first piece came
    this.expecting = false; // whether more of what was added last may come
    this.drySamples = null; // of silence since it failed to come; null: it did not
    this.cushionMs = CUSHION_MS;
    this.underruns = 0;
    this.gapsMs = [];
    this.energy = 0;
    this.quanta = 0;
    this.port.onmessage = (event) => {
      if (event.data.clear) {
        this.clear();
      } else {
        this.add(event.data.audio, event.data.first);
      }
    };
  }

  ms(samples) {
    return (samples * 1000) / sampleRate;
  }

  add(audio, first) {
    if (this.ms(this.queuedSamples + audio.length) > MAX_QUEUED_MS) {
      this.droppedSamples += audio.length;
      return;
    }
    this.expecting = true;
    if (first && this.queuedSamples === 0) {
      this.drySamples = null;
    }
    if (audio.length > 0) {
      this.queue.push({ audio, first });
      this.queuedSamples += audio.length;
    }
  }

  clear() {
    if (this.playing) {
      const tail = this.take(Math.min(FADE_SAMPLES, this.queuedSamples));
      this.fading = tail.map((sample, i) => sample * (1 - i / tail.length));
    }
    this.droppedSamples += this.queuedSamples;
    this.queue = [];
    this.position = 0;
    this.queuedSamples = 0;
    this.playing = false;
    this.expecting = false;
    this.drySamples = null;
    this.waitedSamples = 0;
    this.report();
  }

  // Return the next n samples; they must be there.
  take(n) {
    const samples = new Int16Array(n);
    let filled = 0;
    while (filled < n) {
      const { audio } = this.queue[0];
      const piece = audio.subarray(this.position, this.position + n - filled);
      samples.set(piece, filled);
      filled += piece.length;
      this.position += piece.length;
      if (this.position === audio.length) {
        this.queue.shift();
        this.position = 0;
      }
    }
    this.queuedSamples -= n;
    return samples;
  }

  begins(n) {
    if (this.queuedSamples === 0) {
      return false;
    }
    this.waitedSamples += n;
    const enoughMs = this.drySamples === null ? this.cushionMs : RESUME_MS;
    // What is shorter than the cushion plays as well, once more would have come.
    return this.ms(this.queuedSamples) >= enoughMs || this.ms(this.waitedSamples) >= enoughMs;
  }

  resume() {
    this.playing = true;
    this.waitedSamples = 0;
    // However long it was: within an utterance nothing else tells of it.
    if (this.drySamples !== null && !this.queue[0].first) {
      this.underruns += 1;
      this.gapsMs.push(this.ms(this.drySamples));
      this.cushionMs = Math.min(MAX_CUSHION_MS, this.cushionMs + GROWTH_MS);
    }
    this.drySamples = null;
  }

  process(inputs, outputs) {
    const out = outputs[0][0];
    if (this.fading.length > 0) {
      const n = Math.min(out.length, this.fading.length);
      this.put(out, this.fading.subarray(0, n));
      this.fading = this.fading.subarray(n);
    } else {
      this.play(out);
    }
    this.quanta += 1;
    if (this.quanta >= REPORT_QUANTA) {
      this.report(out.length);
    }
    return true;
  }

  play(out) {
    if (!this.playing && this.begins(out.length)) {
      this.resume();
    }
    const n = this.playing ? Math.min(out.length, this.queuedSamples) : 0;
    this.put(out, this.take(n));
    if (this.playing && n < out.length) {
      this.playing = false;
      this.drySamples = this.expecting ? 0 : null;
    }
    if (!this.playing && this.drySamples !== null) {
      this.drySamples += out.length - n;
    }
  }

  put(out, samples) {
    samples.forEach((sample, i) => {
      out[i] = sample / 32768;
      this.energy += out[i] * out[i];
    });
    this.playedSamples += samples.length;
  }

  report(quantum = 128) {
    this.port.postMessage({
      playedMs: this.ms(this.playedSamples),
      queuedMs: this.ms(this.queuedSamples),
      droppedMs: this.ms(this.droppedSamples),
      underruns: this.underruns,
      gapsMs: this.gapsMs,
      level: Math.sqrt(this.energy / Math.max(1, this.quanta * quantum)),
    });
    this.gapsMs = [];
    this.energy = 0;
    this.quanta = 0;
  }
}

registerProcessor("playback", Playback);
