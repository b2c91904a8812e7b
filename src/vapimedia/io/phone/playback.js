// The assistant's side: a queue that plays without a break once it has begun. Runs on the audio thread.
//
// In:  {audio: Int16Array, first: boolean}   first: an utterance begins with it
//      {clear: true}                         drop what is queued, at once
// Out: {playedMs, queuedMs, underruns, gapsMs: [new ones], droppedMs, level}   about every 20 ms, and after a clear

const CUSHION_MS = 100; // queued before an utterance begins
const RESUME_MS = 20; // and before it goes on after a break
const MAX_CUSHION_MS = 200;
const GROWTH_MS = 40; // more cushion for the next utterance, after a break in this one
const MAX_GAP_MS = 2000; // a longer break belongs to no utterance
const MAX_QUEUED_MS = 90000; // the bridge sends 60 s ahead at most
const FADE = 192; // samples; cutting a wave off clicks
const REPORT_QUANTA = 8;

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = [];
    this.position = 0; // samples of the first queued piece that were played
    this.queued = 0;
    this.played = 0;
    this.dropped = 0;
    this.playing = false;
    this.waited = 0; // samples of silence since the first piece came
    this.expecting = false; // whether more of what was added last may come
    this.dry = null; // samples of silence since it failed to come; null: it did not
    this.cushionMs = CUSHION_MS;
    this.underruns = 0;
    this.gaps = [];
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
    if (this.ms(this.queued + audio.length) > MAX_QUEUED_MS) {
      this.dropped += audio.length;
      return;
    }
    this.expecting = true;
    if (first && this.queued === 0) {
      this.dry = null;
    }
    if (audio.length > 0) {
      this.queue.push({ audio, first });
      this.queued += audio.length;
    }
  }

  clear() {
    const tail = this.take(Math.min(FADE, this.playing ? this.queued : 0));
    this.dropped += this.queued;
    this.queue = [];
    this.position = 0;
    this.queued = tail.length;
    if (tail.length > 0) {
      this.queue.push({ audio: tail.map((sample, i) => sample * (1 - i / tail.length)), first: false });
    }
    this.expecting = false;
    this.dry = null;
    this.waited = 0;
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
    this.queued -= n;
    return samples;
  }

  begins(n) {
    if (this.queued === 0) {
      return false;
    }
    this.waited += n;
    const enough = this.dry === null ? this.cushionMs : RESUME_MS;
    // What is shorter than the cushion plays as well, once more would have come.
    return this.ms(this.queued) >= enough || this.ms(this.waited) >= enough;
  }

  resume() {
    this.playing = true;
    this.waited = 0;
    if (this.dry !== null && !this.queue[0].first) {
      this.underruns += 1;
      this.gaps.push(this.ms(this.dry));
      this.cushionMs = Math.min(MAX_CUSHION_MS, this.cushionMs + GROWTH_MS);
    }
    this.dry = null;
  }

  process(inputs, outputs) {
    const out = outputs[0][0];
    if (!this.playing && this.begins(out.length)) {
      this.resume();
    }
    const n = this.playing ? Math.min(out.length, this.queued) : 0;
    const samples = this.take(n);
    for (let i = 0; i < n; i += 1) {
      out[i] = samples[i] / 32768;
      this.energy += out[i] * out[i];
    }
    this.played += n;
    if (this.playing && n < out.length) {
      this.playing = false;
      this.dry = this.expecting ? 0 : null;
    }
    if (!this.playing && this.dry !== null) {
      this.dry += out.length - n;
      if (this.ms(this.dry) > MAX_GAP_MS) {
        this.dry = null;
      }
    }
    this.quanta += 1;
    if (this.quanta >= REPORT_QUANTA) {
      this.report(out.length);
    }
    return true;
  }

  report(quantum = 128) {
    this.port.postMessage({
      playedMs: this.ms(this.played),
      queuedMs: this.ms(this.queued),
      droppedMs: this.ms(this.dropped),
      underruns: this.underruns,
      gapsMs: this.gaps,
      level: Math.sqrt(this.energy / Math.max(1, this.quanta * quantum)),
    });
    this.gaps = [];
    this.energy = 0;
    this.quanta = 0;
  }
}

registerProcessor("playback", Playback);
