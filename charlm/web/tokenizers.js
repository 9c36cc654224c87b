/* Text to ids and back, as charlm's tokenizers do it.  `spec` holds the kind and the symbols.
   Each has encode(text) -> ids, and piece(id, before) -> the text of an id after another one. */
const MARK = "\u2581"; // how pieces spell a space

function makeTokenizer(spec) {
  const kinds = { char: charTokenizer, byte: byteTokenizer, word: wordTokenizer, bpe: pieceTokenizer, unigram: pieceTokenizer };
  return kinds[spec.kind](spec);
}

function charTokenizer({ symbols }) { // ids 0 and 1 are the boundary and the unknown symbol
  const ids = new Map(symbols.map((symbol, index) => [symbol, index + 2]));
  return {
    encode: (text) => Array.from(text, (char) => ids.get(char) ?? 1),
    piece: (id) => (id === 0 ? "" : id === 1 ? "\ufffd" : symbols[id - 2]),
  };
}

/* Bytes become text when they make whole characters; `push` holds the others back. */
function byteDecoder() {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return (bytes) => decoder.decode(bytes, { stream: true });
}

function byteTokenizer() {
  return {
    encode: (text) => Array.from(new TextEncoder().encode(text), (byte) => byte + 1),
    bytes: (id) => (id ? Uint8Array.of(id - 1) : new Uint8Array()),
  };
}

function wordTokenizer({ symbols, line }) {
  const ids = new Map([["<unk>", 1], ...symbols.map((symbol, index) => [symbol, index + 2])]);
  const end = line ? ids.get("<eos>") : null;
  return {
    encode(text) {
      const spaced = line ? text.replaceAll("\n", " <eos> ") : text;
      return spaced.split(/[\s\u001c-\u001f\u0085]+/u).filter((word) => word && word !== "\ufeff").map((word) => ids.get(word) ?? 1);
    },
    piece(id, before) {
      if (id === 0) return "";
      if (id === end) return "\n";
      const space = before === undefined || before === 0 || before === end ? "" : " ";
      return space + (id === 1 ? "<unk>" : symbols[id - 2]);
    },
  };
}

function pieceTokenizer({ kind, pieces, scores, firstByte }) {
  const ids = new Map(), utf8 = new TextEncoder();
  pieces.forEach((piece, id) => { if (id && (id < firstByte || id >= firstByte + 256)) ids.set(piece, id); });
  const longest = Math.max(...pieces.map((piece) => piece.length));
  const lowest = Math.min(...scores.filter((_, id) => id && (id < firstByte || id >= firstByte + 256)));
  const bytesOf = (text) => Array.from(utf8.encode(text), (byte) => firstByte + byte);
  const known = new Map();

  /* The best of all neighbouring pairs is merged, the first of equal ones, until none is a piece. */
  function merged(word) {
    const parts = Array.from(word);
    for (;;) {
      let best = -1, score = -Infinity;
      for (let i = 0; i + 1 < parts.length; i++) {
        const id = ids.get(parts[i] + parts[i + 1]);
        if (id !== undefined && scores[id] > score) [best, score] = [i, scores[id]];
      }
      if (best < 0) return parts.flatMap((part) => (ids.has(part) ? [ids.get(part)] : bytesOf(part)));
      parts.splice(best, 2, parts[best] + parts[best + 1]);
    }
  }

  /* The way through a word whose pieces have the greatest sum of scores (Viterbi). */
  function likeliest(word) {
    const chars = Array.from(word), best = [[0, 0, null]]; // score, begin, id
    for (let end = 1; end <= chars.length; end++) {
      let found = null;
      for (let begin = Math.max(0, end - longest); begin < end; begin++) {
        const id = ids.get(chars.slice(begin, end).join(""));
        if (id === undefined && end - begin > 1) continue;
        const score = best[begin][0] + (id === undefined ? lowest - 10 : scores[id]);
        if (!found || score > found[0]) found = [score, begin, id];
      }
      best.push(found);
    }
    const parts = [];
    for (let end = chars.length; end > 0; end = best[end][1]) {
      parts.unshift(best[end][2] === undefined ? bytesOf(chars[end - 1]) : [best[end][2]]);
    }
    return parts.flat();
  }

  function wordIds(word) {
    if (word === "\n" || (word === " " && !ids.has(MARK))) return bytesOf(word);
    if (!known.has(word)) known.set(word, (kind === "bpe" ? merged : likeliest)(word.replaceAll(" ", MARK)));
    return known.get(word);
  }

  const plain = (text) => (text.match(/ ?[^ \n]{1,255}|\n| {1,255}(?= )| /gu) || []).flatMap(wordIds);
  const spaced = (text) => ids.has(MARK) ? plain(text)
    : text.split(" ").flatMap((part, index) => [...(index ? bytesOf(" ") : []), ...plain(part)]);
  return {
    encode: (text) => text.split(MARK).flatMap((part, index) => [...(index ? bytesOf(MARK) : []), ...spaced(part)]),
    bytes(id) {
      if (id === 0) return new Uint8Array();
      return id >= firstByte && id < firstByte + 256 ? Uint8Array.of(id - firstByte) : utf8.encode(pieces[id].replaceAll(MARK, " "));
    },
  };
}

/* A function that takes one id after another and returns the text that each completes. */
function makeDecoder(tokenizer) {
  if (tokenizer.bytes) {
    const push = byteDecoder();
    return (id) => push(tokenizer.bytes(id));
  }
  let before;
  return (id) => {
    const text = tokenizer.piece(id, before);
    before = id;
    return text;
  };
}
