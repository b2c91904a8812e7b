// The microphone's side: 1024 samples a message, 16 bits, in the context's own rate. Runs on the audio thread.

const CHUNK_SAMPLES = 1024;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunk = new Int16Array(CHUNK_SAMPLES);
    this.filled = 0;
  }

  process(inputs, outputs) {
    // A source that is muted or gone has no channel; the call goes on in silence.
    const input = inputs[0][0];
    const n = input ? input.length : outputs[0][0].length;
    for (let i = 0; i < n; i += 1) {
      const sample = input ? Math.round(input[i] * 32768) : 0;
      this.chunk[this.filled] = Math.max(-32768, Math.min(32767, sample));
      this.filled += 1;
      if (this.filled === CHUNK_SAMPLES) {
        this.port.postMessage(this.chunk, [this.chunk.buffer]);
        this.chunk = new Int16Array(CHUNK_SAMPLES);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
