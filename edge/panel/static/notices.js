// What must the crew know at once? No network, a gateway or a disk that fails, an agent that is gone.

import { alarmCard, isOpen } from "./alarms.js";
import { el, icon, list, setIcon, setText } from "./dom.js";
import { say } from "./words.js";

const LATE_MS = 10_000; // a report that is connected and not received for so long
const CALLS = { identify: "instruction", ring_back: "acknowledged" }; // and their signs
const COMPLAINT_MS = 8000;
let waitsSince = null;
let complaint = null; // what went wrong with a key: the arguments of `say`

// Says for a while that what was pressed was not done.
export function complain(words) {
  complaint = words;
  dispatchEvent(new Event("redraw"));
  setTimeout(() => {
    if (complaint === words) complaint = null;
    dispatchEvent(new Event("redraw"));
  }, COMPLAINT_MS);
}

// The crew's own messages that the gateway has not confirmed: how many, and whether that is late.
export function waiting(status) {
  const { alarm = 0, duty = 0, reply = 0 } = status.spool;
  const count = alarm + duty + reply;
  if (!count || !status.connected) waitsSince = null;
  else waitsSince ??= performance.now();
  const isLate = waitsSince !== null && performance.now() - waitsSince > LATE_MS;
  return { count, isLate };
}

function notices({ status }) {
  const { count, isLate } = waiting(status);
  const queue = count ? say("offline_queue", count) : say("offline_none");
  const told = [];
  if (!status.connected) told.push(["offline", "no_net", say("offline_how"), queue]);
  else if (isLate) told.push(["late", "gateway", say("offline_how"), queue]);
  for (const call of status.calls) told.push([call, CALLS[call], say(`${call}_how`), ""]);
  if (complaint) told.push(["complaint", "warning", say(...complaint), ""]);
  if (status.trouble) told.push(["disk", "warning", status.trouble, ""]);
  return told;
}

function makeNotice() {
  const about = el("div", {}, el("strong"), el("span"));
  return el("div", { class: "notice", role: "status" }, icon("warning"), about, el("span", { class: "count" }));
}

function drawNotice(notice, [name, sign, how, count]) {
  notice.classList.toggle("call", name in CALLS);
  setIcon(notice.children[0], sign);
  setText(notice.children[1].children[0], say(name));
  setText(notice.children[1].children[1], how);
  setText(notice.children[2], count);
}

export function drawNotices(parent, state) {
  const alarm = state.alarms.filter(isOpen).at(-1);
  const told = [...(alarm ? [alarm] : []), ...notices(state)];
  const isAlarm = (item) => !Array.isArray(item);
  list(
    parent,
    told,
    (item) => (isAlarm(item) ? item.id : item[0]),
    (item) => (isAlarm(item) ? alarmCard.make() : makeNotice()),
    (child, item) => (isAlarm(item) ? alarmCard.update(child, item) : drawNotice(child, item)),
  );
}

// Over everything but SOS: nobody answers, so that keys do nothing. `ms`: for how long.
export function showGone(cover, ms, wasThere) {
  document.body.toggleAttribute("data-gone", ms > 0);
  cover.hidden = ms === 0;
  for (const key of document.querySelectorAll("#duty button")) key.disabled = ms > 0;
  if (!ms) return;
  if (!cover.children.length) cover.append(icon("warning"), el("strong"), el("span"), el("span"));
  setText(cover.children[1], say(wasThere ? "gone" : "starting"));
  setText(cover.children[2], wasThere ? say("gone_how") : "");
  setText(cover.children[3], say("gone_wait", Math.floor(ms / 1000)));
}
