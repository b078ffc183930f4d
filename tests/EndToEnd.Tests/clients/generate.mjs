// Makes one call with the official @grpc/grpc-js client and prints what comes back, one JSON object per line:
//   {"headers": {...}}  {"message": {...}} ...  {"status": {"code": 0, "details": "", "metadata": {...}}}
// Usage: node generate.mjs HOST:PORT SERVICE/METHOD '{request}' ['{"deadlineMs": n, "cancelAfterMessages": n}']
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const [address, path, requestJson, optionsJson] = process.argv.slice(2);
const options = JSON.parse(optionsJson ?? '{}');
const protos = fileURLToPath(new URL('../../../Protos', import.meta.url));
const definitions = protoLoader.loadSync(['tessera/v1/inference.proto', 'grpc/health/v1/health.proto'], {
  includeDirs: [protos], keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true,
});

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const [service, name] = path.split('/');
// A method that the contract does not have is called with empty bytes: it shows how the server names it.
const method = definitions[service]?.[name] ?? {
  path: `/${path}`, requestStream: false, responseStream: true,
  requestSerialize: () => Buffer.alloc(0), responseDeserialize: (bytes) => bytes,
};

const client = new grpc.Client(address, grpc.credentials.createInsecure());
const call = client.makeServerStreamRequest(
  `/${path}`, method.requestSerialize, method.responseDeserialize, JSON.parse(requestJson), new grpc.Metadata(),
  options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs });

let messages = 0;
call.on('metadata', (metadata) => print({ headers: metadata.getMap() }));
call.on('data', (message) => {
  print({ message });
  messages += 1;
  if (messages === options.cancelAfterMessages) call.cancel();
});
call.on('error', () => {}); // the status event says the same
call.on('status', (status) => {
  print({ status: { code: status.code, details: status.details, metadata: status.metadata.getMap() } });
  client.close();
});
