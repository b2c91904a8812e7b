// What a call asks of the bridge: its URL, its socket, and its end.

export class CallError extends Error {
  constructor(message, { isKey = false } = {}) {
    super(message);
    this.isKey = isKey;
  }
}

// Ask for a call and return where its socket goes. The bridge asks Vapi for the call before it answers.
export async function ask(rate, key) {
  let answer;
  try {
    answer = await fetch("/browser/call", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ rate, key }),
    });
  } catch {
    throw new CallError("The bridge does not answer.");
  }
  if (answer.status === 401) {
    throw new CallError(key ? "The key was refused." : "This bridge wants a key.", { isKey: true });
  }
  if (!answer.ok) {
    const reason = (await answer.text()).trim().slice(0, 200);
    throw new CallError(`The bridge refused the call: ${reason || answer.status}.`);
  }
  const told = await answer.json().catch(() => null);
  if (!told?.url) {
    throw new CallError("The call was not taken.");
  }
  return told.url;
}

export function openSocket(url) {
  // The path is what counts: this page came from where the socket is.
  const told = new URL(url);
  const here = new URL(told.pathname + told.search, window.location.href);
  here.protocol = window.location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(here);
  socket.binaryType = "arraybuffer";
  return socket;
}

// End the call behind a socket. One that is still on its way is let in first: a bridge that never saw it would keep
// the call, and Vapi's part of it, until the caller counts as missing.
export function leave(socket) {
  const say = () => {
    socket.send('{"type":"hangup"}');
    socket.close(1000);
  };
  socket.onmessage = socket.onclose = null;
  if (socket.readyState === WebSocket.CONNECTING) {
    socket.onopen = say;
  } else if (socket.readyState === WebSocket.OPEN) {
    say();
  }
}
