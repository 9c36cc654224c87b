/* A recurrent language model: the textbook's cells, step by step, in float32.
   `spec` says what the model is and where its arrays lie in `bytes`. */

/* The array `name` of the model: rows of whole numbers of one byte or two, with a scale for each. */
function arrayOf(spec, bytes, name) {
  if (!spec.arrays[name]) return null;
  const [rows, columns, size, begin, scales] = spec.arrays[name], values = new Float32Array(rows * columns);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let row = 0; row < rows; row++) {
    const scale = view.getFloat32(scales + 4 * row, true);
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      values[i] = scale * (size === 2 ? view.getInt16(begin + 2 * i, true) : view.getInt8(begin + i));
    }
  }
  return { rows, columns, values };
}

/* matrix @ vector + bias; rows from `begin` to `end` alone where they are given.  Four rows at a
   time, so that an element of the vector is loaded once for all of them. */
function product(matrix, vector, bias, begin = 0, end = matrix.rows) {
  const { columns, values } = matrix, found = new Float32Array(end - begin);
  let row = begin;
  for (; row + 4 <= end; row += 4) {
    let a = 0, b = 0, c = 0, d = 0;
    let p = row * columns, q = p + columns, r = q + columns, s = r + columns;
    for (let j = 0; j < columns; j++) {
      const x = vector[j];
      a += values[p++] * x; b += values[q++] * x; c += values[r++] * x; d += values[s++] * x;
    }
    found[row - begin] = a; found[row - begin + 1] = b; found[row - begin + 2] = c; found[row - begin + 3] = d;
  }
  for (; row < end; row++) {
    let a = 0, p = row * columns;
    for (let j = 0; j < columns; j++) a += values[p++] * vector[j];
    found[row - begin] = a;
  }
  if (bias) for (let i = begin; i < end; i++) found[i - begin] += bias.values[i];
  return found;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

function normalised(vector) {
  let mean = 0, square = 0;
  for (const x of vector) mean += x / vector.length;
  for (const x of vector) square += (x - mean) ** 2 / vector.length;
  return vector.map((x) => (x - mean) / Math.sqrt(square + 1e-5));
}

function logSoftmax(logits) {
  let most = -Infinity, sum = 0;
  for (const x of logits) if (x > most) most = x;
  for (const x of logits) sum += Math.exp(x - most);
  const total = most + Math.log(sum);
  return Float64Array.from(logits, (x) => x - total);
}

function makeModel(spec, bytes) {
  const get = (name) => arrayOf(spec, bytes, name);
  const embedding = get("embedding.weight"), H = spec.hidden_size;
  const layers = Array.from({ length: spec.num_layers }, (_, index) => {
    const part = (name) => get(`layers.${index}.${name}`);
    return {
      input: part("weight_ih"), recurrent: part("weight_hh"), bias: part("bias"), biasNew: part("bias_hn"),
      gainX: part("gain_x"), gainH: part("gain_h"), gainC: part("gain_c"), biasC: part("bias_c"),
    };
  });
  const head = {
    weight: get("head.weight") || embedding, bias: get("head.bias"), projection: get("head.projection.weight"),
    clusters: get("head.clusters.weight"), clustersBias: get("head.clusters.bias"),
    latent: get("head.latent.weight"), latentBias: get("head.latent.bias"),
    prior: get("head.prior.weight"), priorBias: get("head.prior.bias"),
  };
  const begun = new Map(); // first layer's input products, by token: a table that fills as it is used

  function inputProduct(layer, x) {
    if (!layer.gainX) return product(layer.input, x, layer.bias);
    return normalised(product(layer.input, x)).map((y, i) => y * layer.gainX.values[i] + layer.bias.values[i]);
  }

  /* One step of a cell: the input's product and a state [h, c] -> the next state. */
  function advance(layer, given, [h, c]) {
    let recurrent = product(layer.recurrent, h);
    if (layer.gainH) recurrent = normalised(recurrent).map((y, i) => y * layer.gainH.values[i]);
    const after = new Float32Array(H), cell = new Float32Array(H);
    const gate = (index, unit) => given[index * H + unit] + recurrent[index * H + unit];
    for (let u = 0; u < H; u++) {
      if (spec.cell === "rnn") {
        after[u] = Math.tanh(gate(0, u));
      } else if (spec.cell === "gru") {
        const r = sigmoid(gate(0, u)), z = sigmoid(gate(1, u));
        const n = Math.tanh(given[2 * H + u] + r * (recurrent[2 * H + u] + layer.biasNew.values[u]));
        after[u] = (1 - z) * n + z * h[u];
      } else {
        const first = spec.cell === "cifg" ? 0 : 1, f = sigmoid(gate(first, u));
        let i = spec.cell === "cifg" ? 1 - f : sigmoid(gate(0, u));
        if (spec.cell === "capped_lstm") i = Math.min(i, 1 - f);
        cell[u] = f * c[u] + i * Math.tanh(gate(first + 1, u));
        after[u] = sigmoid(gate(first + 2, u)) * (layer.gainC ? 1 : Math.tanh(cell[u]));
      }
    }
    if (layer.gainC) {
      normalised(cell).forEach((y, u) => { after[u] *= Math.tanh(y * layer.gainC.values[u] + layer.biasC.values[u]); });
    }
    return [after, cell];
  }

  /* Log-probabilities (V) of the next token from the last layer's output. */
  function predict(features) {
    if (head.latent) return mixture(features);
    const x = head.projection ? product(head.projection, features) : features;
    if (!head.clusters) return logSoftmax(product(head.weight, x, head.bias));
    const { shortlist, tails } = spec;
    const root = logSoftmax([...product(head.weight, x, head.bias, 0, shortlist), ...product(head.clusters, x, head.clustersBias)]);
    const found = new Float64Array(head.weight.rows);
    found.set(root.subarray(0, shortlist));
    tails.forEach(([begin, end], index) => {
      logSoftmax(product(head.weight, x, head.bias, begin, end)).forEach((y, i) => { found[begin + i] = y + root[shortlist + index]; });
    });
    return found;
  }

  function mixture(features) {
    const prior = logSoftmax(product(head.prior, features, head.priorBias));
    const latent = product(head.latent, features, head.latentBias).map(Math.tanh);
    const size = head.weight.columns, found = new Float64Array(head.weight.rows);
    prior.forEach((share, part) => {
      const logits = product(head.weight, latent.subarray(part * size, (part + 1) * size), head.bias);
      logSoftmax(logits).forEach((y, i) => { found[i] += Math.exp(y + share); });
    });
    return found.map(Math.log);
  }

  return {
    /* The state before any token. */
    start: () => layers.map(() => [new Float32Array(H), new Float32Array(H)]),
    /* Read a token: [log-probabilities of the next one, the state after it]; `state` stays as it is. */
    step(token, state) {
      if (!begun.has(token)) {
        if (begun.size > 4096) begun.clear();
        const E = embedding.columns;
        begun.set(token, inputProduct(layers[0], embedding.values.subarray(token * E, (token + 1) * E)));
      }
      const after = [advance(layers[0], begun.get(token), state[0])];
      let hidden = after[0][0], total = hidden;
      for (let index = 1; index < layers.length; index++) {
        after.push(advance(layers[index], inputProduct(layers[index], hidden), state[index]));
        const below = hidden;
        hidden = after[index][0];
        if (spec.connections === "residual") hidden = hidden.map((y, u) => y + below[u]);
        if (spec.connections === "skip") total = total.map((y, u) => y + hidden[u]);
      }
      return [predict(spec.connections === "skip" ? total : hidden), after];
    },
  };
}
