// Uses the official `openai` client as an application would and prints what it saw, one JSON object per line: {"name": ..., "saw": ...}.
// Usage: node openai.mjs http://HOST:PORT MODEL PROMPT
import OpenAI from 'openai';

const [server, model, prompt] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${server}/v1`, apiKey: 'unused', maxRetries: 0 });
const messages = [{ role: 'user', content: prompt }];
const latent = { reasoning: { mode: 'latent' } };
const text = { reasoning: { mode: 'text' } };

const collectChat = async (stream) => {
  const saw = { content: '', reasoning: '', codes: [], hints: 0, finish: null, usage: null };
  for await (const chunk of stream) {
    saw.usage = chunk.usage ?? saw.usage;
    for (const choice of chunk.choices) {
      saw.content += choice.delta.content ?? '';
      saw.reasoning += choice.delta.reasoning_content ?? '';
      const z = choice.delta.latent_reasoning;
      if (z && z.hint === undefined) saw.codes.push(...z.codes);
      if (z && z.hint !== undefined) saw.hints += 1;
      saw.finish = choice.finish_reason ?? saw.finish;
    }
  }
  return saw;
};

const asError = async (promise) => {
  try {
    await promise;
    return { type: 'none' };
  } catch (e) {
    return { type: e.constructor.name, status: e.status ?? null, code: e.code ?? null, param: e.param ?? null, message: e.message, requestId: e.requestID ?? null };
  }
};

const scenarios = {
  chat: async () => {
    const { data, request_id: requestId } = await client.chat.completions.create({ model, messages, ...text }).withResponse();
    const choice = data.choices[0];
    return { content: choice.message.content, reasoning: choice.message.reasoning_content, finish: choice.finish_reason, usage: data.usage, id: data.id, requestId };
  },
  chatStream: async () => collectChat(await client.chat.completions.create({
    model, messages, ...text, stream: true, stream_options: { include_usage: true },
  })),
  latents: async () => {
    const { choices, usage } = await client.chat.completions.create({ model, messages, ...latent });
    return { content: choices[0].message.content, spans: choices[0].message.latent_reasoning.spans, usage };
  },
  latentsStream: async () => collectChat(await client.chat.completions.create({
    model, messages, ...latent, stream: true, stream_options: { include_usage: true },
  })),
  chatHelper: async () => {
    const runner = client.chat.completions.stream({ model, messages, ...latent });
    const final = await runner.finalChatCompletion();
    return { content: final.choices[0].message.content, finish: final.choices[0].finish_reason };
  },
  effort: async () => {
    const { reasoning } = await client.chat.completions.create({ model, messages, reasoning_effort: 'low', max_completion_tokens: 64 });
    return reasoning;
  },
  logprobs: async () => {
    const { choices } = await client.chat.completions.create({ model, messages, ...latent, logprobs: true, top_logprobs: 2 });
    return choices[0].logprobs.content.map((entry) => ({ token: entry.token, logprob: entry.logprob, top: entry.top_logprobs.length }));
  },
  choices: async () => {
    const ask = async (more) => (await client.chat.completions.create({ model, messages, ...text, temperature: 1.5, seed: 11, ...more })).choices;
    const texts = (choices) => choices.map((choice) => choice.message.reasoning_content + choice.message.content);
    const three = await client.chat.completions.create({ model, messages, ...text, temperature: 1.5, seed: 11, n: 3 });
    const streamed = ['', '', ''];
    const ends = [0, 0, 0];
    let streamedUsage;
    for await (const chunk of await client.chat.completions.create({
      model, messages, ...text, temperature: 1.5, seed: 11, n: 3, stream: true, stream_options: { include_usage: true },
    })) {
      streamedUsage = chunk.usage ?? streamedUsage;
      for (const choice of chunk.choices) {
        streamed[choice.index] += (choice.delta.reasoning_content ?? '') + (choice.delta.content ?? '');
        ends[choice.index] += choice.finish_reason ? 1 : 0;
      }
    }
    return {
      indexes: three.choices.map((choice) => choice.index), three: texts(three.choices), usage: three.usage, streamed, ends, streamedUsage,
      alone: [...texts(await ask({})), ...texts(await ask({ seed: 12 })), ...texts(await ask({ seed: 13 }))],
    };
  },
  completion: async () => {
    const { choices, usage } = await client.completions.create({ model, prompt, max_tokens: 100, ...text });
    return { text: choices[0].text, reasoning: choices[0].reasoning_content, finish: choices[0].finish_reason, usage };
  },
  completions: async () => {
    const ask = async (more) => client.completions.create({ model, max_tokens: 60, temperature: 1.2, seed: 5, n: 2, ...text, ...more });
    const textsOf = (choices) => choices.map((choice) => `${choice.reasoning_content}|${choice.text}`);
    const prompts = [prompt, 'Every wumpus is a lempus.', 'Tom is a wumpus. Is Tom a wumpus or lempus?'];
    const [together, ...alone] = [await ask({ prompt: prompts }), ...(await Promise.all(prompts.map((one) => ask({ prompt: one }))))];
    const streamed = {};
    for await (const chunk of await ask({ prompt: prompts, stream: true })) {
      for (const choice of chunk.choices) {
        const saw = (streamed[choice.index] ??= { text: '', reasoning_content: '' });
        saw.text += choice.text;
        saw.reasoning_content += choice.reasoning_content ?? '';
      }
    }
    return {
      indexes: together.choices.map((choice) => choice.index), together: textsOf(together.choices), streamed: textsOf(Object.values(streamed)),
      alone: alone.flatMap((one) => textsOf(one.choices)), tokens: together.usage.total_tokens, tokensAlone: alone.map((one) => one.usage.total_tokens),
    };
  },
  completionStream: async () => {
    const saw = { text: '', reasoning: '', finish: null, usage: null };
    const stream = await client.completions.create({ model, prompt, max_tokens: 100, ...text, stream: true, stream_options: { include_usage: true } });
    for await (const chunk of stream) {
      saw.usage = chunk.usage ?? saw.usage;
      for (const choice of chunk.choices) {
        saw.text += choice.text;
        saw.reasoning += choice.reasoning_content ?? '';
        saw.finish = choice.finish_reason ?? saw.finish;
      }
    }
    return saw;
  },
  response: async () => {
    const response = await client.responses.create({ model, input: prompt, ...text });
    return { text: response.output_text, status: response.status, output: response.output, usage: response.usage };
  },
  responseStream: async () => {
    const saw = { types: [], numbers: [], text: '', reasoning: '', status: null, output: null, usage: null };
    for await (const event of await client.responses.create({ model, input: prompt, ...latent, stream: true })) {
      saw.types.push(event.type);
      saw.numbers.push(event.sequence_number);
      if (event.type === 'response.output_text.delta') saw.text += event.delta;
      if (event.type === 'response.completed') Object.assign(saw, { status: event.response.status, output: event.response.output, usage: event.response.usage });
    }
    return saw;
  },
  responseHelper: async () => {
    const final = await client.responses.stream({ model, input: prompt, ...text }).finalResponse();
    return { text: final.output.find((item) => item.type === 'message').content[0].text, status: final.status };
  },
  models: async () => {
    const all = [];
    for await (const entry of await client.models.list()) all.push(entry.id);
    return { all, one: (await client.models.retrieve(model)).id };
  },
  badParameter: () => asError(client.chat.completions.create({ model, messages, temperature: 9 })),
  badTools: () => asError(client.chat.completions.create({ model, messages, tools: [{ type: 'function', function: { name: 'f' } }] })),
  badFormat: () => asError(client.responses.create({ model, input: prompt, text: { format: { type: 'json_object' } } })),
  badStream: () => asError(client.responses.create({ model, input: prompt, previous_response_id: 'resp_1', stream: true })),
  otherModel: () => asError(client.chat.completions.create({ model: 'gpt-none', messages })),
  cancelled: async () => {
    const stream = await client.chat.completions.create({ model, messages, ...text, stream: true });
    for await (const chunk of stream) {
      if (chunk) stream.controller.abort();
    }
    const controller = new AbortController();
    const plain = client.chat.completions.create({ model, messages, ...text }, { signal: controller.signal });
    controller.abort();
    return asError(plain);
  },
};

for (const [name, run] of Object.entries(scenarios)) {
  process.stdout.write(`${JSON.stringify({ name, saw: await run() })}\n`);
}
