// What one response has said so far. No DOM in here.

/** One response, built up chunk by chunk. */
export class Trace {
  /** Latents in order of arrival: { span, index, code, hint, confidence }; hint and confidence are null until the decoder has read them. */
  latents = [];
  reasoning = '';
  answer = '';
  /** latent, text, answer: what the model writes now; null before the first token. */
  phase = null;
  finishReason = null;
  usage = null;
  timings = null;
  #written = { latent: 0, text: 0, answer: 0 };

  /** Adds a chunk and returns the latents that it brought or explained. */
  add(chunk) {
    const touched = [];
    const choice = chunk.choices?.[0];
    if (choice) this.#addDelta(choice.delta ?? {}, touched);
    this.finishReason = choice?.finish_reason ?? this.finishReason;
    this.timings = chunk.timings ?? this.timings;
    this.usage = chunk.usage ?? this.usage;
    return touched;
  }

  /** Tokens by kind: the server's count where there is one, else one for each piece that came. */
  get tokens() {
    const details = this.usage?.completion_tokens_details;
    if (!details) {
      const { latent, text, answer } = this.#written;
      return { latent, control: 0, text, answer, total: latent + text + answer };
    }
    const total = this.usage.completion_tokens;
    return {
      latent: details.latent_tokens,
      control: details.control_tokens,
      text: details.reasoning_text_tokens,
      answer: total - details.reasoning_tokens,
      total,
    };
  }

  /** Positions of the KV cache that the request takes; null while the length of the prompt is unknown. The last token is sampled and never stored. */
  get positions() {
    return this.usage ? this.usage.prompt_tokens + Math.max(0, this.usage.completion_tokens - 1) : null;
  }

  /** Milliseconds on the server from arrival to end, without the time in the queue; null before the end. */
  get milliseconds() {
    return this.timings ? this.timings.total_ms - this.timings.queue_ms : null;
  }

  #addDelta(delta, touched) {
    if (delta.latent_reasoning) this.#addLatent(delta.latent_reasoning, touched);
    const reasoning = delta.reasoning ?? delta.reasoning_content;
    if (reasoning) {
      this.reasoning += reasoning;
      this.phase = 'text';
      this.#written.text += 1;
    }
    if (delta.content) {
      this.answer += delta.content;
      this.phase = 'answer';
      this.#written.answer += 1;
    }
  }

  #addLatent(latent, touched) {
    for (const [offset, code] of latent.codes.entries()) {
      const index = latent.index + offset;
      let known = this.latents.find((l) => l.span === latent.span && l.index === index);
      if (!known) {
        known = { span: latent.span, index, code, hint: null, confidence: null };
        this.latents.push(known);
        this.phase = 'latent';
        this.#written.latent += 1;
      }
      if (latent.hint !== undefined && latent.hint !== null) {
        known.hint = latent.hint;
        known.confidence = latent.confidence ?? null;
      }
      touched.push(known);
    }
  }
}

/** What latents saved against the same prompt spelled out, both measured. A loss is negative. */
export function measuredPair(text, latent, kvBytesPerPosition) {
  const pair = (name, unit, a, b) => ({ name, unit, text: a, latent: b, saved: a - b, fraction: a > 0 ? (a - b) / a : 0 });
  return {
    basis: 'measured_pair',
    rows: [
      pair('Tokens', 'count', text.tokens.total, latent.tokens.total),
      // Every generated token, a latent too, costs one step of the model.
      pair('Steps', 'count', text.tokens.total, latent.tokens.total),
      pair('Time', 'ms', text.milliseconds, latent.milliseconds),
      pair('KV cache', 'bytes', text.positions * kvBytesPerPosition, latent.positions * kvBytesPerPosition),
    ],
  };
}
