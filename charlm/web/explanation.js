"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const record = JSON.parse($("record").textContent);
  const { tokens, units, layers, gates } = record;
  const rowChars = Math.ceil(((tokens.length + 1) * record.bytes) / 3) * 4;
  const digits = record.bytes === 2 ? 3 : 2, mostBits = 8;
  const at = { step: 0, layer: 0, unit: 0, shown: gates.includes("cell") ? "cell" : "hidden" };
  const spans = [], column = tokens.every((token) => token.length < 3) ? 12 : 32; // words have room for their beginnings
  const inBits = () => at.shown === "surprisal" || at.shown === "entropy";
  let decoded = new Map(); // gate -> its values for the chosen unit, the one before the text first

  /* Values of one unit over all steps: T + 1 numbers, the first from before the text. */
  function decode(gate, layer, unit) {
    const index = gates.indexOf(gate), place = layer * units.length + unit;
    const packed = place === record.first // comments
      ? $("first").firstChild : $("others").childNodes[place - (place > record.first ? 1 : 0)];
    const raw = atob(packed.data.slice(index * rowChars, (index + 1) * rowChars));
    const low = record.lowest[index][place], step = record.step[index][place];
    const values = new Float64Array(tokens.length + 1);
    for (let t = 0; t < values.length; t++) {
      const whole = record.bytes === 1
        ? raw.charCodeAt(t) : raw.charCodeAt(2 * t) + 256 * raw.charCodeAt(2 * t + 1);
      values[t] = low + step * whole;
    }
    return values;
  }

  function values(gate) {
    if (!decoded.has(gate)) decoded.set(gate, decode(gate, at.layer, at.unit));
    return decoded.get(gate);
  }

  /* What is shown at a step: bits, or a value of the chosen unit. */
  function valueAt(step) {
    return inBits() ? record[at.shown][step] : values(at.shown)[step + 1];
  }

  /* Lowest and highest value of the colours. */
  function range() {
    if (inBits()) return [0, mostBits];
    if (at.shown.endsWith("_gate")) return [0, 1];
    if (at.shown !== "cell" && at.shown !== "modulated") return [-1, 1];
    const most = values(at.shown).reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    return [-most, most];
  }

  const number = (value) => value.toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace("-", "");
  const name = (gate) => $("shown").querySelector(`option[value=${gate}]`).textContent;
  /* A token with what cannot be seen in it; one that is empty is a part of a character. */
  const visible = (token) => token.replace(/\n/g, "↵").replace(/\t/g, "→").replace(/^ +$/, (s) => "␣".repeat(s.length))
    .replace(/^\p{M}/u, "◌$&").replace(/[\p{Cc}\p{Cf}\p{Z}]/gu, (s) => (s === " " ? s : `U+${s.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`)) || "·";
  const unitName = (layer, unit) => (layers.length > 1 ? `layer ${layers[layer]}, ` : "") + `unit ${units[unit]}`;
  const title = () => (inBits() ? `${at.shown} in bits` : `${name(at.shown)} of ${unitName(at.layer, at.unit)}`);

  function element(parent, tag, text, attributes = {}) {
    const made = document.createElementNS(parent.namespaceURI, tag);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return parent.appendChild(made);
  }

  /* Colour every character by what is shown; bits begin at the middle colour. */
  function paint() {
    const [low, high] = range(), lowest = inBits() ? 8 : 0;
    spans.forEach((span, step) => {
      const share = Math.min(1, Math.max(0, (valueAt(step) - low) / (high - low)));
      span.className = `v${lowest + Math.round((16 - lowest) * share)}${step === at.step ? " here" : ""}`;
    });
    $("low").textContent = lowest ? "0 bits" : number(low);
    $("high").textContent = lowest ? `${mostBits} bits and more` : number(high);
    $("swatches").replaceChildren();
    for (let level = lowest; level <= 16; level++) element($("swatches"), "span", "", { class: `v${level}` });
  }

  /* Show everything about one step. */
  function visit(step) {
    spans[at.step].classList.remove("here");
    at.step = Math.min(tokens.length - 1, Math.max(0, step));
    const span = spans[at.step], token = visible(tokens[at.step]);
    span.classList.add("here");
    const box = $("text"), top = span.offsetTop - box.offsetTop;
    if (top < box.scrollTop || top > box.scrollTop + box.clientHeight - 40) box.scrollTop = top - box.clientHeight / 2;
    box.setAttribute("aria-valuenow", at.step + 1);
    box.setAttribute("aria-valuetext", `${token}, step ${at.step + 1} of ${tokens.length}, ${title()} ${number(valueAt(at.step))}`);
    $("where").textContent = `step ${at.step + 1}: reads “${token}”`;
    showCell();
    showExpected();
    trace();
    if ($("numbers").open) showNumbers();
  }

  /* A number of the diagram or of an equation: "cell" is after the step, "cell before" before it. */
  function figure(what) {
    if (what === "input") return layers[at.layer] === 0 ? `“${visible(tokens[at.step])}”` : `h of layer ${layers[at.layer] - 1}`;
    const [gate, before] = what.split(" ");
    return number(values(gate)[at.step + (before ? 0 : 1)]);
  }

  function showCell() {
    for (const text of document.querySelectorAll("#cell [data-value]")) text.textContent = figure(text.dataset.value);
    const list = $("equations");
    list.replaceChildren();
    for (const [letter, equation] of Object.entries(record.equations)) {
      element(list, "dt", letter);
      element(list, "dd", equation.replace(/\{([^}]*)\}/g, (_, what) => figure(what)));
    }
  }

  function showExpected() {
    const body = $("expected"), rank = record.rank[at.step + 1];
    body.replaceChildren();
    for (const [place, [token, probability]] of record.expected[at.step + 1].entries()) {
      const came = place + 1 === rank;
      const row = element(body, "tr", undefined, came ? { class: "came" } : {});
      element(row, "td", visible(token) + (came ? " (came)" : ""));
      const cell = element(row, "td");
      element(cell, "span", "", { class: "bar", "aria-hidden": "true" }).style.width = `${(probability * 5).toFixed(2)}rem`;
      cell.append(`${(probability * 100).toFixed(1)} %`);
    }
  }

  /* The course of what is shown over the steps around this one. */
  function trace() {
    const svg = $("trace"), width = Math.max(240, svg.clientWidth), [low, high] = range();
    const count = Math.min(Math.floor((width - 50) / column), tokens.length);
    const begin = Math.min(Math.max(0, at.step - (count >> 1)), tokens.length - count);
    const x = (step) => 46 + ((step - begin + 0.5) * (width - 50)) / count;
    const y = (value) => 92 - 84 * Math.min(1, Math.max(0, (value - low) / (high - low)));
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} 120`);
    $("traced").textContent = title();
    for (const value of [low, (low + high) / 2, high]) {
      element(svg, "path", undefined, { class: "axis", d: `M44 ${y(value)}H${width}` });
      element(svg, "text", number(value), { class: "end", x: 40, y: y(value) + 4 });
    }
    element(svg, "path", undefined, { class: "cursor", d: `M${x(at.step)} 4V96` });
    const points = Array.from({ length: count }, (_, index) => `${x(begin + index)} ${y(valueAt(begin + index))}`);
    element(svg, "path", undefined, { class: "line s0", d: `M${points.join("L")}` });
    for (let step = begin; step < begin + count; step++) {
      const shown = [...visible(tokens[step]).trimStart().replace(/U\+[0-9A-F]{4,}/g, "·")], label = element(svg, "text", shown.join(""), { x: x(step), y: 112 });
      while (shown.length > 1 && label.getComputedTextLength() > column - 2) label.textContent = (shown.pop(), shown.join(""));
    }
  }

  function showNumbers() {
    const table = document.querySelector("#numbers table");
    table.tHead.replaceChildren();
    table.tBodies[0].replaceChildren();
    const head = element(table.tHead, "tr");
    for (const each of ["step", "token", "surprisal, bits", "entropy, bits", ...gates.map(name)]) element(head, "th", each, { scope: "col" });
    for (let step = Math.max(0, at.step - 5); step <= Math.min(tokens.length - 1, at.step + 5); step++) {
      const row = element(table.tBodies[0], "tr", undefined, step === at.step ? { class: "now" } : {});
      element(row, "th", step + 1, { scope: "row" });
      element(row, "td", visible(tokens[step]));
      const figures = [record.surprisal[step], record.entropy[step], ...gates.map((gate) => values(gate)[step + 1])];
      for (const each of figures) element(row, "td", number(each), { class: "number" });
    }
  }

  /* Do what needs all units, once they are read: a large page is drawn before it has loaded. */
  const whenRead = (action) => document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", action) : action();

  /* Choose a unit by its place among those of the page. */
  function choose(layer, unit) {
    Object.assign(at, { layer, unit });
    decoded = new Map();
    $("layer").value = layer;
    $("unit").value = units[unit];
    paint();
    visit(at.step);
  }

  /* Correlation of a unit with a feature over the steps from begin to end. */
  function correlation(unit, feature, begin, end) {
    let x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (let t = begin; t < end; t++) {
      const a = unit[t + 1], b = feature[t];
      x += a; y += b; xx += a * a; yy += b * b; xy += a * b;
    }
    const n = end - begin;
    const spread = (xx - (x * x) / n) * (yy - (y * y) / n);
    return spread > 1e-12 ? (xy - (x * y) / n) / Math.sqrt(spread) : 0;
  }

  /* The feature at each token: of a regular expression 1 where it ends in a match, else 0. */
  function feature() {
    if ($("feature").value) return record.features[$("feature").value];
    const text = tokens.join(""), inside = new Uint8Array(text.length);
    for (const match of text.matchAll(new RegExp($("pattern").value, "gmu"))) inside.fill(1, match.index, match.index + match[0].length);
    let end = 0;
    return tokens.map((token) => inside[(end += token.length) - 1] || 0);
  }

  function search() {
    const answer = $("answer"), found = $("found"), gate = $("followed").value;
    found.hidden = true;
    let wanted;
    try {
      wanted = feature();
    } catch (error) {
      answer.textContent = `This is no regular expression: ${error.message}`;
      return;
    }
    const half = tokens.length >> 1, rows = [];
    if ([wanted.slice(0, half), wanted.slice(half)].some((part) => part.every((value) => value === part[0]))) {
      answer.textContent = "The feature is the same at every step of one half of this text: choose another one.";
      return;
    }
    layers.forEach((_, layer) => units.forEach((_, unit) => {
      const row = decode(gate, layer, unit);
      rows.push([correlation(row, wanted, 0, half), correlation(row, wanted, half, tokens.length), layer, unit]);
    }));
    rows.sort((a, b) => Math.abs(b[0]) - Math.abs(a[0]));
    found.tBodies[0].replaceChildren();
    for (const [first, second, layer, unit] of rows.slice(0, 8)) {
      const row = element(found.tBodies[0], "tr");
      element(element(row, "td"), "button", unitName(layer, unit), { type: "button" }).addEventListener("click", () => {
        at.shown = $("shown").value = gate;
        choose(layer, unit);
      });
      for (const each of [first, second]) element(row, "td", number(each), { class: "number" });
    }
    answer.textContent = `The ${name(gate)} of ${rows.length.toLocaleString("en")} units was searched. Choose one to see it in the text.`;
    found.hidden = false;
  }

  tokens.forEach((token, step) => {
    const span = element($("text"), "span", token.replace(/\n/g, "↵\n").replace(/\r/g, "←") || "·");
    span.step = step;
    spans.push(span);
  });
  $("text").setAttribute("aria-valuemax", tokens.length);
  $("unit").max = Math.max(...units);
  $("layer").parentElement.hidden = layers.length < 2;
  $("shown").value = at.shown;
  $("followed").value = "hidden";
  choose(Math.floor(record.first / units.length), record.first % units.length);

  $("text").addEventListener("click", (event) => event.target.step === undefined || visit(event.target.step));
  $("text").addEventListener("mouseover", ({ target }) => {
    if (target.step !== undefined) target.title = `“${visible(tokens[target.step])}” ${title()}: ${number(valueAt(target.step))}`;
  });
  $("back").addEventListener("click", () => visit(at.step - 1));
  $("forth").addEventListener("click", () => visit(at.step + 1));
  $("inside").addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -Infinity, End: Infinity };
    if (!(event.key in moves) || event.target.matches("input, select, .scroll") || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    visit(at.step + moves[event.key]);
  });
  $("shown").addEventListener("change", () => {
    at.shown = $("shown").value;
    paint();
    visit(at.step);
  });
  $("layer").addEventListener("change", () => whenRead(() => choose(Number($("layer").value), at.unit)));
  $("unit").addEventListener("change", () => {
    const place = units.indexOf(Number($("unit").value));
    whenRead(() => choose(at.layer, place < 0 ? at.unit : place)); // a unit that is not on the page changes nothing
  });
  $("numbers").addEventListener("toggle", () => $("numbers").open && showNumbers());
  const showPattern = () => ($("pattern").parentElement.hidden = $("feature").value !== "");
  $("feature").addEventListener("change", showPattern);
  showPattern();
  window.addEventListener("resize", trace);
  for (const form of [$("controls"), $("search")]) form.addEventListener("submit", (event) => event.preventDefault());
  $("search").addEventListener("submit", () => whenRead(search));
})();
