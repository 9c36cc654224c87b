"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const spec = JSON.parse($("spec").textContent);
  const raw = atob($("weights").firstChild.data); // in a comment
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const tokenizer = makeTokenizer(spec.tokenizer), model = makeModel(spec, bytes);
  const SLICE = 12, CHOICES = 8; // milliseconds of work at a time; buttons
  let run = null; // the text that is being written
  let timer = 0;

  const bits = (logP) => -logP / Math.LN2;
  const level = (surprisal) => 8 + Math.round(Math.min(8, surprisal)); // colours of the style sheet
  const visible = (text) => text.replace(/\n/g, "↵").replace(/\t/g, "→").replace(/ /g, "␣") || "·";

  /* Numbers from 0 to 1 that depend on the seed alone (splitmix32). */
  function randomNumbers(seed) {
    let at = seed >>> 0;
    return () => {
      at = (at + 0x9e3779b9) | 0;
      let x = at ^ (at >>> 16);
      x = Math.imul(x, 0x21f0aaad); x ^= x >>> 15;
      x = Math.imul(x, 0x735a2d97); x ^= x >>> 15;
      return (x >>> 0) / 4294967296;
    };
  }

  /* Sample an id by temperature, top-k and top-p; temperature 0 takes the likeliest. */
  function sample(logProbs, uniform) {
    const temperature = Number($("temperature").value), topK = Number($("top-k").value), topP = Number($("top-p").value);
    let order = Array.from(logProbs.keys());
    const restricted = temperature === 0 || topK > 0 || topP < 1;
    if (restricted) order.sort((a, b) => logProbs[b] - logProbs[a]);
    if (temperature === 0) return order[0];
    if (topK > 0) order = order.slice(0, topK);
    const most = restricted ? logProbs[order[0]] : Math.max(...logProbs);
    const weights = order.map((id) => Math.exp((logProbs[id] - most) / temperature));
    let sum = weights.reduce((a, b) => a + b, 0);
    if (topP < 1) { // the fewest tokens that together have at least that probability
      let count = 0, mass = 0;
      while (count < order.length && mass < topP * sum) mass += weights[count++];
      [order, sum] = [order.slice(0, Math.max(1, count)), mass];
    }
    let left = uniform * sum;
    for (let i = 0; i < order.length; i++) if ((left -= weights[i]) < 0) return order[i];
    return order[order.length - 1];
  }

  function append(parent, text, surprisal) {
    const span = document.createElement("span");
    span.textContent = text;
    if (surprisal !== undefined) {
      span.className = `v${level(surprisal)}`;
      span.title = `${visible(text)}: ${surprisal.toFixed(2)} bits`;
    }
    parent.append(span);
  }

  /* Take a token into the text that is being written. */
  function take(id) {
    const surprisal = bits(run.logProbs[id]);
    [run.logProbs, run.state] = model.step(id, run.state);
    const text = run.decode(id);
    if (text) append($("output"), text, surprisal);
    run.count += 1;
  }

  function begin() {
    halt();
    const prompt = $("prompt").value, ids = tokenizer.encode(prompt);
    run = { random: randomNumbers(Number($("seed").value)), decode: makeDecoder(tokenizer), count: 0, began: 0, made: 0 };
    run.state = model.start();
    [run.logProbs, run.state] = model.step(0, run.state);
    for (const id of ids) [run.logProbs, run.state] = model.step(id, run.state);
    for (const id of ids) run.decode(id);
    $("output").replaceChildren();
    append($("output"), prompt);
    const unknown = ids.filter((id) => id === 1 && spec.tokenizer.symbols).length;
    if (unknown) $("told").textContent = `${unknown} of the prompt's tokens are unknown to the model.`;
    return !unknown;
  }

  function write() {
    const wanted = Number($("length").value);
    $("stop").disabled = false;
    $("go-on").disabled = true;
    $("choices").replaceChildren();
    Object.assign(run, { goal: run.count + wanted, began: performance.now(), first: run.count });
    timer = setTimeout(slice);
  }

  function slice() {
    const until = performance.now() + SLICE;
    while (run.count < run.goal && performance.now() < until) {
      const id = sample(run.logProbs, run.random());
      if (id === 0) { run.ended = true; break; } // the end of the document
      take(id);
    }
    const seconds = (performance.now() - run.began) / 1000, made = run.count - run.first;
    $("told").textContent = `${run.count.toLocaleString("en")} tokens, ${Math.round(made / Math.max(seconds, 1e-3)).toLocaleString("en")} a second`
      + (run.ended ? "; the model ended the document here" : "");
    if (run.ended || run.count >= run.goal) halt();
    else timer = setTimeout(slice);
  }

  function halt() {
    clearTimeout(timer);
    $("stop").disabled = true;
    $("go-on").disabled = !run || Boolean(run.ended);
    if (run && !run.ended) offer();
  }

  /* Buttons with the likeliest next tokens, to choose from. */
  function offer() {
    const order = Array.from(run.logProbs.keys()).filter((id) => id > 0).sort((a, b) => run.logProbs[b] - run.logProbs[a]);
    $("choices").replaceChildren();
    for (const id of order.slice(0, CHOICES)) {
      const button = document.createElement("button"), share = document.createElement("small");
      button.type = "button";
      button.textContent = visible(makeDecoder(tokenizer)(id));
      share.textContent = ` ${(100 * Math.exp(run.logProbs[id])).toFixed(1)} %`;
      button.append(share);
      button.addEventListener("click", () => { take(id); offer(); $("choices").firstChild.focus(); });
      $("choices").append(button);
    }
  }

  /* Surprisal of every token of a text in nats, from the boundary on. */
  function surprisals(ids) {
    const found = [];
    let [logProbs, state] = model.step(0, model.start());
    for (const id of ids) {
      found.push(-logProbs[id]);
      [logProbs, state] = model.step(id, state);
    }
    return found;
  }

  function measure() {
    const text = $("measured").value, ids = tokenizer.encode(text), decode = makeDecoder(tokenizer);
    if (!ids.length) { $("score").textContent = "Give a text."; return; }
    const nll = surprisals(ids), sum = nll.reduce((a, b) => a + b, 0), chars = Array.from(text).length;
    $("score").textContent = `${(sum / Math.LN2 / chars).toFixed(4)} bits per character, perplexity ${Math.exp(sum / ids.length).toFixed(3)} per token, ${ids.length.toLocaleString("en")} tokens`;
    const body = $("all").querySelector("tbody");
    body.replaceChildren();
    $("surprisals").replaceChildren();
    $("surprisals").hidden = $("all").hidden = false;
    ids.forEach((id, index) => {
      const piece = decode(id) || "", surprisal = nll[index] / Math.LN2;
      append($("surprisals"), piece, surprisal);
      if (index >= 1000) return;
      const row = body.insertRow();
      row.insertCell().textContent = visible(piece);
      row.insertCell().textContent = surprisal.toFixed(3);
      row.lastChild.className = "number";
    });
  }

  $("write").addEventListener("submit", (event) => { event.preventDefault(); if (begin()) write(); });
  $("go-on").addEventListener("click", write);
  $("stop").addEventListener("click", halt);
  $("colored").addEventListener("change", () => $("output").classList.toggle("colored", $("colored").checked));
  $("measure").addEventListener("submit", (event) => { event.preventDefault(); measure(); });
  $("output").classList.add("written");
})();
