// Talks to the server that the page came from, and to no other: request bodies, server-sent events, errors, the curl line.

const CUT = 'The connection ended before the answer did.';

/** What went wrong, in the server's words where it had some. */
export class ApiError extends Error {
  /** @param {number} status HTTP status; 0 = no answer. @param {{param?: string, requestId?: string, retryAfter?: string}} more */
  constructor(status, message, more = {}) {
    super(message);
    this.status = status;
    Object.assign(this, more);
  }
}

/** The body of a chat request. A setting that is null is left to the server. */
export function chatBody({ model, prompt, mode, budget, maxTokens, temperature, seed }) {
  const reasoning = { mode };
  if (budget !== null && (mode === 'latent' || mode === 'auto')) reasoning.latent_budget = budget;
  const body = { model, messages: [{ role: 'user', content: prompt }], reasoning };
  if (maxTokens !== null) body.max_tokens = maxTokens;
  if (temperature !== null) body.temperature = temperature;
  if (seed !== null) body.seed = seed;
  return body;
}

/** The same request for a shell. The key itself is never part of it. */
export function curlLine(body, withKey) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  const key = withKey ? ' \\\n  -H "Authorization: Bearer $TESSERA_API_KEY"' : '';
  return `curl -sN ${new URL('v1/chat/completions', location.href)} \\\n  -H 'Content-Type: application/json'${key} \\\n  -d '${quoted}'`;
}

/** Reads a JSON document. */
export async function getJson(path, key) {
  const response = await send(path, { headers: headers(key) });
  return response.json();
}

/** One answer without streaming. */
export async function complete(body, key, signal) {
  const response = await send('v1/chat/completions', { method: 'POST', headers: headers(key, true), body: JSON.stringify(body), signal });
  return response.json();
}

/** Streams an answer: yields each chunk as it comes, and throws unless the stream ends as it should. */
export async function* stream(body, key, signal) {
  const asked = { ...body, stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } };
  const response = await send('v1/chat/completions', { method: 'POST', headers: headers(key, true), body: JSON.stringify(asked), signal });
  const requestId = response.headers.get('X-Request-Id') ?? undefined;
  for await (const data of events(response.body)) {
    if (data === '[DONE]') return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError(response.status, chunk.error.message, { param: chunk.error.param, requestId });
    yield chunk;
  }
  throw new ApiError(0, CUT, { requestId });
}

/** The data of each server-sent event. Network reads may end anywhere, inside a character too. */
async function* events(bytes) {
  const reader = bytes.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error) => { throw error.name === 'AbortError' ? error : new ApiError(0, CUT); });
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const parts = text.split(/\r?\n\r?\n/);
      text = parts.pop();
      for (const part of parts) {
        // Lines that begin with a colon are comments that keep the connection alive.
        const data = part.split(/\r?\n/).filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trimStart());
        if (data.length > 0) yield data.join('\n');
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function headers(key, withBody = false) {
  const all = withBody ? { 'Content-Type': 'application/json' } : {};
  if (key) all.Authorization = `Bearer ${key}`;
  return all;
}

async function send(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, cache: 'no-store', credentials: 'omit' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, 'The server does not answer.');
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new ApiError(response.status, body?.error?.message ?? `The server answered with status ${response.status}.`, {
    param: body?.error?.param ?? undefined,
    requestId: response.headers.get('X-Request-Id') ?? undefined,
    retryAfter: response.headers.get('Retry-After') ?? undefined,
  });
}
