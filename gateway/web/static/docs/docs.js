// What does the API take and answer? Drawn from /openapi.json, in words for people.

import { h } from "/dom.js";
import { addWords, lang, setLang, t } from "/i18n.js";
import { words } from "/words/docs.js";

addWords(words);
document.documentElement.dataset.theme = localStorage.getItem("fieldgate.theme") ?? "dark";

const DEEPEST = 6;
const root = document.getElementById("docs");
let api = null;
let sought = "";

/** What a reference stands for. */
const resolved = (schema) => (schema?.$ref ? schema.$ref.slice(2).split("/").reduce((at, step) => at?.[step], api) : schema) ?? {};

/** A schema as one writes it down: `{id: text, since?: whole | null}`. */
function shape(schema, depth = 0, seen = []) {
  if (schema?.$ref && seen.includes(schema.$ref)) return schema.$ref.split("/").pop();
  const within = schema?.$ref ? [...seen, schema.$ref] : seen;
  const s = resolved(schema);
  if (s.const !== undefined) return JSON.stringify(s.const);
  if (s.enum) return s.enum.map((each) => JSON.stringify(each)).join(" | ");
  const several = s.anyOf ?? s.oneOf ?? s.allOf;
  if (several) return several.map((each) => shape(each, depth, within)).join(" | ");
  if (Array.isArray(s.type)) return s.type.join(" | ");
  if (s.type === "array") return `[${s.items ? shape(s.items, depth, within) : "…"}]`;
  if (s.type === "object" || s.properties) {
    const fields = Object.entries(s.properties ?? {});
    if (!fields.length) return s.additionalProperties ? `{…: ${shape(s.additionalProperties, depth + 1, within)}}` : "{…}";
    if (depth > DEEPEST) return "{…}";
    const pad = "  ".repeat(depth + 1);
    const lines = fields.map(([name, each]) => `${pad}${name}${s.required?.includes(name) ? "" : "?"}: ${shape(each, depth + 1, within)}`);
    return `{\n${lines.join(",\n")}\n${"  ".repeat(depth)}}`;
  }
  return limits(s);
}

/** A plain value with its limits. */
function limits(s) {
  const facts = [];
  if (s.minimum !== undefined || s.maximum !== undefined) facts.push(`${s.minimum ?? ""}…${s.maximum ?? ""}`);
  if (s.maxLength !== undefined) facts.push(`≤ ${s.maxLength}`);
  if (s.pattern && s.pattern.length < 60) facts.push(`/${s.pattern}/`);
  if (s.format) facts.push(s.format);
  return [s.type ?? "any", ...facts].join(" ");
}

const table = (heads, rows) =>
  h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((key) => h("th", { scope: "col" }, t(key))))), h("tbody", {}, rows)));

function parameters(list) {
  const rows = list.map((p) => {
    const value = p.schema?.default;
    const notes = [p.required && t("docs.needed"), value !== undefined && value !== "" && t("docs.default", value)].filter(Boolean).join(", ");
    return h("tr", {}, h("td", {}, h("code", {}, p.name)), h("td", {}, p.in), h("td", {}, h("code", {}, shape(p.schema))), h("td", {}, [p.description ?? "", notes && ` (${notes})`].join("")));
  });
  return [h("h3", {}, t("docs.parameters")), table(["docs.name", "docs.where", "docs.type", "docs.meaning"], rows)];
}

function answers(responses) {
  return Object.entries(responses).map(([status, answer]) => {
    const a = resolved(answer);
    const kinds = Object.entries(a.content ?? {});
    const line = h("p", {}, h("code", {}, status), " ", a.description, kinds.length ? h("span", { class: "quiet" }, ` ${kinds.map(([kind]) => kind).join(", ")}`) : null);
    const json = a.content?.["application/json"]?.schema;
    return [line, json ? h("pre", { tabindex: "0" }, shape(json)) : null];
  });
}

/** The request as it is typed in a shell. */
function typed(method, path, act) {
  const filled = (act.parameters ?? []).filter((p) => p.in === "path" && p.example).reduce((at, p) => at.replace(`{${p.name}}`, encodeURIComponent(p.example)), path);
  const words = [`curl${method === "get" ? "" : ` -X ${method.toUpperCase()}`} "$FIELDGATE_URL${filled}"`];
  if (act.security?.length) words.push(`-H "Authorization: Bearer $FIELDGATE_TOKEN"`);
  const example = act.requestBody?.content?.["application/json"]?.example;
  if (example) words.push(`-H "Content-Type: application/json"`, `-d '${JSON.stringify(example)}'`);
  return words.join(" \\\n  ");
}

function drawn(method, path, act) {
  const body = act.requestBody?.content?.["application/json"]?.schema;
  const role = /Role: (\w+)/.exec(act.description ?? "")?.[1];
  const inside = h("div", {});
  const details = h("details", { class: "act", id: act.operationId, on: { toggle: fill } },
    h("summary", {}, h("span", { class: "method", data: { method } }, method.toUpperCase()), h("code", {}, path), h("span", {}, act.summary)), inside);
  function fill() {  // only what is looked at is drawn
    if (!details.open || inside.childNodes.length) return;
    inside.append(
      h("p", { class: "quiet" }, role ? t("docs.role", role) : t("docs.open")),
      ...(act.parameters?.length ? parameters(act.parameters) : []),
      ...(body ? [h("h3", {}, t("docs.body")), h("pre", { tabindex: "0" }, shape(body))] : []),
      h("h3", {}, t("docs.example")), h("pre", { tabindex: "0" }, typed(method, path, act)),
      h("h3", {}, t("docs.answers")), ...answers(act.responses).flat().filter(Boolean));
  }
  return details;
}

function acts() {
  const word = sought.toLowerCase();
  return Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, act]) => ({ method, path, act })))
    .filter(({ method, path, act }) => `${method} ${path} ${act.summary} ${act.operationId}`.toLowerCase().includes(word));
}

function list() {
  const found = acts();
  const parts = api.tags.map((tag) => [tag, found.filter(({ act }) => act.tags[0] === tag.name)]).filter(([, its]) => its.length);
  if (!parts.length) return [h("p", {}, t("docs.nothing"))];
  return [
    h("nav", { "aria-label": t("docs.title") }, parts.map(([tag]) => h("a", { href: `#part-${tag.name}` }, tag.name))),
    ...parts.flatMap(([tag, its]) => [h("h2", { id: `part-${tag.name}` }, tag.name), h("p", { class: "quiet" }, tag.description), ...its.map(({ method, path, act }) => drawn(method, path, act))]),
  ];
}

function draw() {
  document.title = `${t("docs.title")} · Fieldgate`;
  const main = h("main", {});
  const fill = () => main.replaceChildren(h("p", {}, api.info.description, " ", h("a", { href: "/openapi.json" }, "/openapi.json"), ` ${t("docs.raw")}`), ...list());
  const find = h("input", { type: "search", value: sought, placeholder: t("docs.find"), "aria-label": t("docs.find"), on: { input: () => { sought = find.value; fill(); } } });
  const other = h("button", { type: "button", on: { click: () => { setLang(lang() === "zh" ? "en" : "zh"); draw(); } } }, t("language"));
  root.replaceChildren(h("header", {}, h("h1", {}, `${t("docs.title")} ${api.info.version}`), find, other, h("a", { href: "/" }, t("docs.page"))), main);
  fill();
  const chosen = document.getElementById(location.hash.slice(1));
  if (chosen) { chosen.open = true; chosen.scrollIntoView(); }
}

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(answer.statusText);
  api = await answer.json();
  draw();
} catch (error) {
  root.replaceChildren(h("main", {}, h("p", { role: "alert" }, `${t("docs.failed")}: ${error.message}`)));
}
