// The page: what is clicked, and what is shown.

import { Call } from "./call.js";

const KEY_NAME = "vapimedia.key";
const MAX_LINES = 400;
const NAMES = new Map([
  ["user", "You"],
  ["assistant", "Assistant"],
]);
const PAUSED = "Sound is paused. Tap to go on.";
const DRAW_MS = 60;
const DIGITS = "123456789*0#";

const at = (id) => document.getElementById(id);
const page = {
  state: at("state"),
  notice: at("notice"),
  keyRow: at("key-row"),
  key: at("key"),
  raw: at("raw"),
  call: at("call"),
  hangUp: at("hang-up"),
  mute: at("mute"),
  timer: at("timer"),
  pad: at("pad"),
  meters: { you: at("meter-you"), assistant: at("meter-assistant") },
  transcript: at("transcript"),
  empty: at("empty"),
};

let call = null;
let liveSince = 0;
let moving = 0; // the timer that draws, while there is a call
let lines = []; // {role, text, final}
let open = {}; // by role: the line that partial transcripts still change

const remembered = {
  read() {
    try {
      return sessionStorage.getItem(KEY_NAME) ?? "";
    } catch {
      return ""; // storage is switched off
    }
  },
  write(key) {
    try {
      sessionStorage.setItem(KEY_NAME, key);
    } catch {
      // It is asked for again, then.
    }
  },
};

// --- what a call tells

const owner = {
  state(state, text, error = null) {
    document.body.dataset.state = state;
    page.state.textContent = text;
    const isOver = state === "ended";
    const hadFocus = document.activeElement === (isOver ? page.hangUp : page.call);
    page.call.hidden = !isOver;
    page.hangUp.hidden = isOver;
    if (hadFocus) {
      (isOver ? page.call : page.hangUp).focus();
    }
    page.raw.disabled = page.key.disabled = !isOver;
    const isLive = state === "live";
    for (const button of page.pad.querySelectorAll("button")) {
      button.disabled = !isLive;
    }
    if (isLive && !liveSince) {
      liveSince = Date.now();
    }
    if (isOver) {
      liveSince = 0;
      open = {};
      for (const role of NAMES.keys()) {
        owner.speech(role, false);
      }
    }
    note(error ? error.message : "");
    if (error) {
      page.state.textContent = "Not in a call";
    }
    if (error?.isKey) {
      page.keyRow.hidden = false;
      page.key.setAttribute("aria-invalid", "true");
      page.key.focus();
      page.key.select();
    }
  },

  speech(role, speaking) {
    if (NAMES.has(role)) {
      page.meters[role === "user" ? "you" : role].parentElement.classList.toggle("speaking", speaking);
    }
  },

  interrupted() {
    const line = open.assistant;
    if (line) {
      line.element.classList.add("interrupted");
    }
  },

  paused(isPaused) {
    note(isPaused ? PAUSED : "");
  },

  transcript(role, text, final) {
    if (!NAMES.has(role) || !text) {
      return;
    }
    const line = open[role] ?? addLine(role);
    line.text = text;
    line.final = final;
    line.words.textContent = text;
    line.element.classList.toggle("partial", !final);
    line.element.setAttribute("aria-busy", String(!final)); // read aloud once it is final
    open[role] = final ? null : line;
    page.transcript.scrollTop = page.transcript.scrollHeight;
  },
};

function note(text) {
  page.notice.hidden = !text;
  page.notice.textContent = text;
}

function addLine(role) {
  const element = document.createElement("li");
  element.className = role;
  const who = document.createElement("span");
  who.className = "who";
  who.textContent = NAMES.get(role);
  const words = document.createElement("span");
  words.className = "words";
  element.append(who, words);
  page.transcript.append(element);
  page.empty.hidden = true;
  const line = { role, text: "", final: false, element, words };
  lines.push(line);
  if (lines.length > MAX_LINES) {
    lines.shift().element.remove();
  }
  return line;
}

// --- what is clicked

function startCall() {
  if (call && call.state !== "ended") {
    return;
  }
  const key = page.key.value.trim();
  remembered.write(key);
  page.key.removeAttribute("aria-invalid");
  page.transcript.replaceChildren();
  lines = [];
  open = {};
  page.empty.hidden = false;
  call = new Call(owner, { key, raw: page.raw.checked });
  call.mute(isMuted());
  call.start();
  moving ||= setInterval(draw, DRAW_MS);
}

const isMuted = () => page.mute.getAttribute("aria-pressed") === "true";

function toggleMute() {
  const muted = !isMuted();
  page.mute.setAttribute("aria-pressed", String(muted));
  page.mute.textContent = muted ? "Unmute" : "Mute";
  call?.mute(muted);
}

function press(digit) {
  if (call?.state === "live") {
    call.press(digit);
  }
}

for (const digit of DIGITS) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = digit;
  button.disabled = true;
  button.dataset.digit = digit;
  button.setAttribute("aria-label", { "*": "star", "#": "hash" }[digit] ?? digit);
  button.addEventListener("click", () => press(digit));
  page.pad.append(button);
}

document.addEventListener("keydown", (event) => {
  const isTyped = event.target instanceof HTMLInputElement || event.ctrlKey || event.altKey || event.metaKey;
  if (!isTyped && !event.repeat && DIGITS.includes(event.key)) {
    press(event.key);
  }
});

at("phone").addEventListener("submit", (event) => {
  event.preventDefault();
  startCall();
});
page.hangUp.addEventListener("click", () => call?.hangUp());
page.mute.addEventListener("click", toggleMute);
document.addEventListener("click", () => call?.resume()); // browsers start a sound again for a click only
window.addEventListener("pagehide", () => call?.hangUp());

// --- what moves

const LOUDEST = 0.25; // of full scale: a voice close to the microphone

function draw() {
  const levels = call?.stats.levels ?? { you: 0, assistant: 0 };
  for (const [name, meter] of Object.entries(page.meters)) {
    const share = Math.min(1, Math.sqrt(levels[name] / LOUDEST));
    meter.style.transform = `scaleX(${share.toFixed(3)})`;
    meter.parentElement.setAttribute("aria-valuenow", Math.round(share * 100));
  }
  const seconds = liveSince ? Math.floor((Date.now() - liveSince) / 1000) : 0;
  page.timer.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  page.timer.hidden = !liveSince;
  if (call?.isReleased) {
    clearInterval(moving);
    moving = 0;
  }
}

page.key.value = remembered.read();
page.keyRow.hidden = document.body.dataset.key !== "wanted";

// For whoever wants to know more, and for tests.
window.vapimedia = {
  get state() {
    return call?.state ?? "idle";
  },
  get stats() {
    return call ? { ...call.stats } : null;
  },
  get transcript() {
    return lines.map(({ role, text, final }) => ({ role, text, final }));
  },
  get notice() {
    return page.notice.hidden ? "" : page.notice.textContent;
  },
};
