/**
 * The program of a story's page. It puts data on the page by `textContent` and attributes only.
 */
export const script = String.raw`
"use strict";
const story = JSON.parse(document.getElementById("story").textContent);
const { scenario, outcome, marks, links, faults, phases } = story;
const app = document.getElementById("app");
const end = Math.max(outcome.millis, 1);
const SVG = "http://www.w3.org/2000/svg";
const el = (name, attributes, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "onclick") node.addEventListener("click", value); else node.setAttribute(key, value);
  }
  for (const child of children) node.append(typeof child === "object" ? child : document.createTextNode(String(child)));
  return node;
};
const svg = (name, attributes, text) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
};
const hint = (node, text) => { node.append(svg("title", {}, text)); return node; };
const seconds = (millis) => (millis / 1000).toFixed(millis % 1000 === 0 ? 0 : 2) + " s";
const count = (n) => n.toLocaleString("en");

const names = scenario.nodes.map((node) => node.name);
let now = end;
let chosen;

// ---------------------------------------------------------------------------------------------- what was found
const failed = outcome.failures.length > 0;
app.append(
  el("h1", {}, "Seed " + outcome.seed + " ", el("span", { class: "verdict " + (failed ? "bad" : "good") },
    failed ? outcome.failures.length + " failures" : "passed")),
  el("div", { class: "facts dim" },
    el("span", {}, names.length + " nodes, " + scenario.nodes.filter((n) => n.isValidator).length + " validators"),
    el("span", {}, "topology " + scenario.topology), el("span", {}, "a ledger every " + seconds(scenario.closeTimeMillis)),
    el("span", {}, seconds(end) + " of virtual time"), el("span", {}, count(outcome.messages) + " messages"),
    el("span", {}, count(outcome.steps) + " steps, " + scenario.exploration), el("span", {}, "trace " + outcome.traceHash)));
for (const failure of outcome.failures) {
  app.append(el("div", { class: "failure", onclick: () => setTime(failure.at) },
    el("b", {}, failure.checker), " at " + seconds(failure.at) + ": " + failure.text));
}

// ------------------------------------------------------------------------------------------------- time and map
const map = svg("svg", { viewBox: "0 0 400 370", width: "100%" });
const clock = el("b", {}, "");
const slider = el("input", { type: "range", min: 0, max: end, value: end, step: 50, "aria-label": "time" });
slider.addEventListener("input", () => setTime(Number(slider.value)));
const place = (index) => {
  const angle = 2 * Math.PI * index / names.length - Math.PI / 2;
  return [200 + 140 * Math.cos(angle), 185 + 140 * Math.sin(angle)];
};
const statuses = ["starting", "running", "paused", "stopping", "down"];
const colour = { running: "var(--good)", paused: "var(--blue)", down: "var(--bad)", starting: "var(--warn)", stopping: "var(--warn)" };
const stateAt = (node, at) => {
  let status = "down"; let ledger = 1;
  for (const mark of marks) {
    if (mark.at > at) break;
    if (mark.node !== node) continue;
    if (statuses.includes(mark.kind)) status = mark.kind;
    if (mark.kind === "ledger") ledger = mark.text.split(",")[0].replace("ledger ", "");
  }
  return { status, ledger };
};
const drawMap = () => {
  map.replaceChildren();
  for (const link of links) {
    if (link.openedAt > now || (link.closedAt !== undefined && link.closedAt < now)) continue;
    const [x1, y1] = place(names.indexOf(link.from)); const [x2, y2] = place(names.indexOf(link.to));
    if (Number.isNaN(x1 + x2)) continue;
    const line = svg("line", { x1, y1, x2, y2, stroke: chosen === link ? "var(--blue)" : "var(--dim)",
      "stroke-width": chosen === link ? 4 : 1 + Math.min(3, link.messages / 1500), "stroke-opacity": 0.7 });
    line.style.cursor = "pointer";
    line.addEventListener("click", () => choose(link));
    map.append(hint(line, link.from + " dialled " + link.to + ", " + count(link.messages) + " messages"));
  }
  names.forEach((name, index) => {
    const [x, y] = place(index); const { ledger, status } = stateAt(name, now);
    map.append(hint(svg("circle", { cx: x, cy: y, r: 17, fill: "var(--card)", stroke: colour[status] || "var(--dim)",
      "stroke-width": scenario.nodes[index].isValidator ? 4 : 2 }), name + " is " + status + ", ledger " + ledger));
    map.append(svg("text", { x, y: y + 4, "text-anchor": "middle" }, name));
    map.append(svg("text", { x, y: y + 31, "text-anchor": "middle", class: "small" }, "ledger " + ledger));
  });
};

// --------------------------------------------------------------------------------------------------- time line
const left = 60, width = 1000, row = 22;
const x = (at) => left + (width - left - 14) * Math.min(at, end) / end;
const faultTop = 24, nodeTop = faultTop + faults.length * 13 + 12;
const height = nodeTop + names.length * row + 8;
const line = svg("svg", { viewBox: "0 0 " + width + " " + height, width: "100%" });
const step = [1000, 2000, 5000, 10000, 20000, 60000].find((s) => end / s <= 16) || 300000;
for (let at = 0; at <= end; at += step) {
  line.append(svg("line", { x1: x(at), x2: x(at), y1: 14, y2: height, stroke: "var(--line)" }));
  line.append(svg("text", { x: x(at) + 2, y: 10, class: "small" }, at / 1000 + " s"));
}
for (const { at, phase } of phases) {
  line.append(svg("line", { x1: x(at), x2: x(at), y1: 14, y2: height, stroke: "var(--blue)", "stroke-dasharray": "3 3" }));
  if (at < end * 0.97) line.append(svg("text", { x: x(at) + 3, y: 21, class: "small", style: "fill: var(--blue)" }, phase));
}
faults.forEach((fault, index) => {
  const y = faultTop + index * 13 + 1; const to = fault.endedAt === undefined ? end : fault.endedAt;
  line.append(hint(svg("rect", { x: x(fault.startedAt), y, width: Math.max(2, x(to) - x(fault.startedAt)), height: 10, rx: 2,
    fill: "var(--fault)", "fill-opacity": fault.fired === 0 ? 0.35 : 1 }),
    fault.kind + " " + fault.what + "\n" + seconds(fault.startedAt) + " to " + seconds(to) + ", took effect " + fault.fired +
    " times" + (fault.where.length > 0 ? ": " + fault.where.join(", ") : "")));
  const late = x(to) > width - 150;
  line.append(svg("text", { x: late ? x(fault.startedAt) - 4 : x(to) + 4, y: y + 9, "text-anchor": late ? "end" : "start",
    class: "small" }, fault.kind + " ×" + fault.fired));
});
names.forEach((name, index) => {
  const y = nodeTop + index * row;
  line.append(svg("text", { x: 4, y: y + 14 }, name + (scenario.nodes[index].isValidator ? " ◆" : "")));
  let since = 0; let status = "down";
  const bar = (to) => {
    const fill = status === "down" ? "var(--down)" : status === "paused" ? "var(--paused)" : "var(--up)";
    line.append(hint(svg("rect", { x: x(since), y: y + 2, width: Math.max(0, x(to) - x(since)), height: row - 5, fill }),
      name + " is " + status + " from " + seconds(since) + " to " + seconds(to)));
  };
  for (const mark of marks) if (mark.node === name && statuses.includes(mark.kind)) { bar(mark.at); since = mark.at; status = mark.kind; }
  bar(end);
  for (const mark of marks) {
    if (mark.node !== name || statuses.includes(mark.kind)) continue;
    const at = seconds(mark.at) + " " + name + ": " + mark.text; const cx = x(mark.at);
    if (mark.kind === "ledger") {
      const jumped = mark.text.includes("jumped");
      line.append(hint(svg("line", { x1: cx, x2: cx, y1: y + 3, y2: y + row - 4, stroke: jumped ? "var(--warn)" : "var(--good)",
        "stroke-width": jumped ? 3 : 1.5 }), at));
    } else if (mark.kind === "connected") {
      line.append(hint(svg("circle", { cx, cy: y + 6, r: 2.4, fill: "var(--blue)" }), at));
    } else {
      const fill = mark.kind === "dropped" ? "var(--bad)" : mark.kind === "error" ? "var(--bad)" : "var(--warn)";
      line.append(hint(svg("rect", { x: cx - 2, y: y + 12, width: 4.5, height: 4.5, fill,
        transform: "rotate(45 " + cx + " " + (y + 14) + ")" }), at));
    }
  }
});
const cursor = svg("line", { y1: 14, y2: height, stroke: "var(--fg)", "stroke-opacity": 0.6 });
line.append(cursor);
line.addEventListener("click", (event) => {
  const box = line.getBoundingClientRect();
  const at = ((event.clientX - box.left) / box.width * width - left) / (width - left - 14) * end;
  setTime(Math.max(0, Math.min(end, at)));
});

// -------------------------------------------------------------------------------------------------------- links
const linkRows = new Map();
const linkTable = el("table", {}, el("tr", {}, el("th", {}, "link"), el("th", {}, "open"), el("th", { class: "num" }, "messages"),
  el("th", { class: "num" }, "bytes"), el("th", {}, "most")));
for (const link of [...links].sort((a, b) => b.messages - a.messages)) {
  const most = Object.entries(link.types).sort((a, b) => b[1] - a[1]).slice(0, 3).map(([type, n]) => type + " " + count(n)).join(", ");
  const tr = el("tr", { class: "pick", onclick: () => choose(link) }, el("td", {}, link.from + " → " + link.to),
    el("td", {}, seconds(link.openedAt) + " – " + (link.closedAt === undefined ? "end" : seconds(link.closedAt))),
    el("td", { class: "num" }, count(link.messages)), el("td", { class: "num" }, count(link.bytes)), el("td", { class: "dim" }, most));
  linkRows.set(link, tr); linkTable.append(tr);
}
const messages = el("div", {}, el("p", { class: "dim" }, "Choose a link, in the list or on the map, to read its messages."));
const choose = (link) => {
  for (const [other, tr] of linkRows) tr.classList.toggle("on", other === link);
  chosen = link;
  const table = el("table", { class: "mono" }, el("tr", {}, el("th", {}, "time"), el("th", {}, "way"), el("th", {}, "message"),
    el("th", { class: "num" }, "bytes"), el("th", {}, "")));
  for (const [at, forward, type, size, detail] of link.first) {
    table.append(el("tr", {}, el("td", {}, seconds(at)), el("td", {}, forward ? link.from + " → " + link.to : link.to + " → " + link.from),
      el("td", {}, type), el("td", { class: "num" }, size), el("td", { class: "dim" }, detail)));
  }
  messages.replaceChildren(el("p", {}, el("b", {}, link.from + " → " + link.to), " ",
    el("span", { class: "dim" }, "the first " + link.first.length + " of " + count(link.messages) + " messages, as they were written")),
    el("div", { class: "scroll card" }, table));
  drawMap();
};

// -------------------------------------------------------------------------------------------- events near the time
const near = el("table", { class: "mono" });
const drawNear = () => {
  near.replaceChildren(el("tr", {}, el("th", {}, "time"), el("th", {}, "node"), el("th", {}, "what")));
  let until = marks.findIndex((mark) => mark.at > now);
  if (until < 0) until = marks.length;
  for (const mark of marks.slice(Math.max(0, until - 60), until).reverse()) {
    const tr = el("tr", {}, el("td", {}, seconds(mark.at)), el("td", {}, mark.node), el("td", {}, mark.text));
    if (mark.kind === "dropped" || mark.kind === "error") tr.style.color = "var(--bad)";
    near.append(tr);
  }
};
const setTime = (at) => {
  now = at; slider.value = at; clock.textContent = seconds(Math.round(at));
  cursor.setAttribute("x1", x(at)); cursor.setAttribute("x2", x(at));
  drawMap(); drawNear();
};

const legend = (fill, text) => el("span", {}, el("span", { class: "swatch", style: "background: " + fill }), text);
app.append(
  el("h2", {}, "Time line"),
  el("div", { class: "card" }, line, el("div", { class: "legend dim" }, legend("var(--fault)", "a fault (× times it took effect)"),
    legend("var(--up)", "running"), legend("var(--paused)", "paused"), legend("var(--down)", "down"), legend("var(--good)", "a ledger closed"),
    legend("var(--blue)", "a peer authenticated"), legend("var(--bad)", "a connection dropped"), legend("var(--warn)", "throttled, store failed, jump"))),
  el("div", { class: "panes" },
    el("div", {}, el("h2", {}, "The network at ", clock), el("div", { class: "card" }, slider, map,
      el("div", { class: "dim" }, "A thick ring is a validator. Click the time line or a failure to go there."))),
    el("div", {}, el("h2", {}, "What happened until then"), el("div", { class: "scroll card" }, near))),
  el("h2", {}, "Links"), el("div", { class: "scroll card" }, linkTable), messages,
  el("h2", {}, "Points reached"), el("p", { class: "dim" }, outcome.sometimes.join(", ") || "none"),
  el("h2", {}, "Scenario"), el("pre", { class: "card mono scroll" }, JSON.stringify(scenario, null, 2)));
const stopping = phases.find(({ phase }) => phase === "stopping");
setTime(failed ? Math.min(outcome.failures[0].at, stopping ? stopping.at : end) : stopping ? stopping.at - 1 : end);
const [busiest] = [...links].sort((a, b) => b.messages - a.messages);
if (busiest) choose(busiest);
`
