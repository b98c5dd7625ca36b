// How is everything: network, gateway, position, camera, power? One lamp each.

import { el, icon, list, setIcon, setText } from "./dom.js";
import { waiting } from "./notices.js";
import { say } from "./words.js";

function lamps(status) {
  const { connected, gnss, cam, health } = status;
  const isLate = waiting(status).isLate;
  const net = health.net ? health.net.toUpperCase() : say("net_on");
  const gateway = !connected ? "gateway_off" : isLate ? "gateway_late" : "gateway_on";
  const battery = health.batt === undefined ? null : `${health.batt}%`;
  const power = battery ?? say(health.mains ? "mains" : "unknown");
  return [
    ["net", connected ? "net" : "no_net", connected ? net : say("net_off"), !connected],
    ["gateway", "gateway", say(gateway), gateway !== "gateway_on"],
    ["gnss", "gnss", say(`gnss_${gnss ?? "none"}`), gnss !== null && gnss !== "ok"],
    ["camera", "camera", say(`cam_${cam}`), cam !== "ok" && cam !== "none"],
    ["battery", health.mains ? "mains" : "battery", power, health.batt < 20 && !health.mains],
  ];
}

export function drawLamps(parent, status) {
  const make = () => el("div", {}, icon("net"), el("dt"), el("dd"));
  list(parent, lamps(status), ([name]) => name, make, (lamp, [name, sign, value, needsCare]) => {
    lamp.className = needsCare ? "care" : "";
    setIcon(lamp.children[0], needsCare ? (name === "net" ? "no_net" : "warning") : sign);
    setText(lamp.children[1], say(name));
    setText(lamp.children[2], value);
  });
}
