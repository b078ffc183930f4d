// Calls the server with the official @grpc/grpc-js client in every shape of call, and prints what it saw, one JSON object per line:
// {"name": ..., "saw": {"code": n, "details": ..., "messages": [...], "headers": {...}, "trailers": {...}}}.
// Usage: node grpc-shapes.mjs HOST:PORT '{generate request}'
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const [address, requestJson] = process.argv.slice(2);
const request = JSON.parse(requestJson);
// Not over before a busy client has read its first messages.
const long = { ...request, max_tokens: 2000, sampling: { ...request.sampling, min_tokens: 2000 } };
const options = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true };
const definitions = protoLoader.loadSync(['tessera/v1/inference.proto', 'grpc/health/v1/health.proto', 'grpc/reflection/v1/reflection.proto'], {
  ...options, includeDirs: [fileURLToPath(new URL('../../../Protos', import.meta.url))],
});
const inference = definitions['tessera.v1.Inference'];
const health = definitions['grpc.health.v1.Health'];
const reflection = definitions['grpc.reflection.v1.ServerReflection'];
const client = new grpc.Client(address, grpc.credentials.createInsecure());
const metadataOf = (metadata) => Object.fromEntries(Object.keys(metadata.getMap()).map(
  (key) => [key, metadata.get(key).map((value) => (Buffer.isBuffer(value) ? value.toString('base64') : value)).join(',')]));

// Runs a call of any shape: `send` writes to it, `onMessage` may act on it.
const run = (make, { send, onMessage } = {}) => new Promise((resolve) => {
  const saw = { messages: [], headers: {} };
  let call;
  const end = (status) => resolve({ code: status.code, details: status.details, trailers: metadataOf(status.metadata), ...saw });
  const single = (error, message) => { if (!error) saw.messages.push(message); };
  call = make(single);
  call.on('metadata', (metadata) => { saw.headers = metadataOf(metadata); });
  call.on('data', (message) => { saw.messages.push(message); onMessage?.(call, saw.messages.length, message); });
  call.on('error', () => {}); // the status event says the same
  call.on('status', end);
  send?.(call);
});
const unary = (method, message, metadata = new grpc.Metadata(), callOptions = {}, from = client) => run((single) =>
  from.makeUnaryRequest(method.path, method.requestSerialize, method.responseDeserialize, message, metadata, callOptions, single));
const serverStream = (method, message, { onMessage, callOptions = {}, metadata = new grpc.Metadata(), from = client } = {}) => run(() =>
  from.makeServerStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, message, metadata, callOptions), { onMessage });
const clientStream = (method, messages) => run((single) =>
  client.makeClientStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, new grpc.Metadata(), {}, single),
{ send: (call) => { messages.forEach((message) => call.write(message)); call.end(); } });
const bidi = (method, send, onMessage) => run(() =>
  client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, new grpc.Metadata(), {}), { send, onMessage });

const varint = (n) => (n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))]);
const withMetadata = (entries) => { const metadata = new grpc.Metadata(); Object.entries(entries).forEach(([key, value]) => metadata.set(key, value)); return metadata; };

const scenarios = {
  unary: () => unary(inference.GenerateOnce, request),
  serverStream: () => serverStream(inference.Generate, request),
  clientStreamOfOne: () => clientStream(inference.GenerateOnce, [request]),
  clientStreamOfNone: () => clientStream(inference.GenerateOnce, []),
  clientStreamOfTwo: () => clientStream(inference.GenerateOnce, [request, request]),
  bidiHalfClosed: () => bidi(inference.Generate, (call) => { call.write(request); call.end(); }),
  bidiResetBeforeHalfClose: () => bidi(inference.Generate, (call) => { call.write(request); setImmediate(() => call.cancel()); }),
  bidiPingPong: () => bidi(reflection.ServerReflectionInfo, (call) => call.write({ list_services: '' }), (call, count) => {
    if (count < 3) call.write({ file_by_filename: 'tessera/v1/inference.proto' });
    else call.end();
  }),
  resetMidStream: () => serverStream(inference.Generate, long, { onMessage: (call, count) => { if (count === 2) call.cancel(); } }),
  deadline: () => serverStream(inference.Generate, request, { callOptions: { deadline: Date.now() - 1000 } }),
  tools: async () => {
    const tokens = await unary(inference.Tokenize, { text: 'Every lempus is a wumpus.' });
    const text = await unary(inference.Detokenize, { ids: tokens.messages[0].ids });
    const models = await unary(inference.ListModels, {});
    const info = await unary(inference.GetInfo, {});
    return { code: Math.max(tokens.code, text.code, models.code, info.code), messages: [tokens.messages[0], text.messages[0], models.messages[0], info.messages[0]] };
  },
  latents: async () => {
    const once = await unary(inference.GenerateOnce, { ...request, reasoning: { mode: 'REASONING_MODE_LATENT' } });
    const span = once.messages[0].choices[0].spans[0];
    const decoded = await unary(inference.DecodeLatents, { chat: request.chat, codes: span.codes });
    const encoded = await unary(inference.EncodeTrace, { chat: request.chat, steps: span.hints.map((hint) => hint.text) });
    return { code: Math.max(once.code, decoded.code, encoded.code), messages: [span, decoded.messages[0], encoded.messages[0]] };
  },
  badField: () => unary(inference.GenerateOnce, { ...request, sampling: { temperature: 9, top_p: 0 } }),
  otherModel: () => unary(inference.Tokenize, { model: 'other', text: 'a' }),
  metadata: () => unary(health.Check, {}, withMetadata({ 'x-request-id': 'my-request-1' })),
  metadataBad: () => unary(health.Check, {}, withMetadata({ 'x-request-id': 'a'.repeat(129) })),
  gzip: async () => {
    const packing = new grpc.Client(address, grpc.credentials.createInsecure(), { 'grpc.default_compression_algorithm': 2 });
    const saw = await unary(inference.Tokenize, { text: 'Every lempus is a wumpus. '.repeat(400) }, new grpc.Metadata(), {}, packing);
    packing.close();
    return { ...saw, messages: saw.messages.map((message) => message.ids.length) };
  },
  gzipAnswer: async () => {
    // Through a proxy that counts: the client itself does not tell in which form an answer came.
    let bytes = 0;
    const [host, port] = address.split(':');
    const proxy = net.createServer((from) => {
      const to = net.connect(Number(port), host);
      to.on('data', (chunk) => { bytes += chunk.length; });
      from.pipe(to).pipe(from);
      [from, to].forEach((socket) => socket.on('error', () => {}));
    });
    await new Promise((resolve) => { proxy.listen(0, '127.0.0.1', resolve); });
    const through = new grpc.Client(`127.0.0.1:${proxy.address().port}`, grpc.credentials.createInsecure());
    const saw = await unary(inference.Tokenize, { text: 'Every lempus is a wumpus. '.repeat(400) }, new grpc.Metadata(), {}, through);
    through.close();
    proxy.close();
    return { ...saw, messages: saw.messages.map((message) => ({ ids: message.ids.length, size: inference.Tokenize.responseSerialize(message).length, bytes })) };
  },
  tooLargeToSend: () => unary(inference.Tokenize, { text: 'a'.repeat(1024 * 1024) }),
  tooLargeToReceive: async () => {
    const small = new grpc.Client(address, grpc.credentials.createInsecure(), { 'grpc.max_receive_message_length': 64 });
    const saw = await unary(inference.GetInfo, {}, new grpc.Metadata(), {}, small);
    small.close();
    return saw;
  },
  reflected: async () => {
    // A client that was given no .proto of ours: what it calls comes from the server.
    const ask = await bidi(reflection.ServerReflectionInfo, (call) => { call.write({ file_containing_symbol: 'tessera.v1.Inference' }); call.end(); });
    const files = ask.messages[0].file_descriptor_response.file_descriptor_proto;
    const set = Buffer.concat(files.flatMap((file) => [Buffer.from([0x0a, ...varint(file.length)]), Buffer.from(file)]));
    const found = protoLoader.loadFileDescriptorSetFromBuffer(set, options)['tessera.v1.Inference'];
    return unary(found.Detokenize, { ids: (await unary(found.Tokenize, { text: 'wumpus' })).messages[0].ids });
  },
  watch: () => serverStream(health.Watch, {}, { onMessage: (call) => call.cancel() }),
  still: () => unary(health.Check, {}),
};

for (const [name, scenario] of Object.entries(scenarios)) {
  process.stdout.write(`${JSON.stringify({ name, saw: await scenario() })}\n`);
}
client.close();
