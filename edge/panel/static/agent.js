// How does the page speak with the agent? It hears all that changes, and asks for what is pressed.

const SILENT_MS = 3500; // the agent beats once a second
const AGAIN_MS = 1000;
const ANSWER_MS = 5000;

// Calls state(parts) with all of them at first, then each second or sooner with those that have
// changed, none perhaps, as what is shown may depend on the time; and silence(ms): how long nothing
// was heard, 0 when it is there. What it says before it was ever heard counts as silence too.
export function listen({ state, silence }) {
  let heard = performance.now();
  let isThere = false;
  let source = null;

  function open() {
    source?.close();
    source = new EventSource("/api/stream");
    source.addEventListener("state", (event) => (hear(), state(JSON.parse(event.data))));
    source.addEventListener("beat", () => (hear(), state({})));
    source.addEventListener("error", () => {
      source.close();
      setTimeout(open, AGAIN_MS);
    });
  }

  function hear() {
    heard = performance.now();
    if (!isThere) silence(0);
    isThere = true;
  }

  setInterval(() => {
    const ms = performance.now() - heard;
    if (ms < SILENT_MS) return;
    if (isThere) open(); // a connection that says nothing is none
    isThere = false;
    silence(ms);
  }, 250);
  open();
}

export class Unanswered extends Error {} // nobody was there to answer: it may have been done or not
export class Refused extends Error {} // it was not done

// What the agent answers: it is on its disk then. Throws Unanswered or Refused.
export async function ask(path, body = {}) {
  let response;
  let value;
  try {
    response = await fetch(`/api${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    value = await response.json();
  } catch (error) {
    throw new Unanswered(error.message);
  }
  if (!response.ok) throw new Refused(value.title ?? response.statusText);
  return value;
}
