// dcmjs-dimse as MPPS SCU: the N-CREATE and N-SET of a JSON document on standard input, in order, each on an
// association of its own; what came back on standard output. Decides nothing: what is right is the caller's to say.
'use strict';

const fs = require('fs');
const { Client, Dataset, log, requests } = require('dcmjs-dimse');

log.setLevel('silent');

const MPPS = '1.2.840.10008.3.1.2.3.3';
const asked = JSON.parse(fs.readFileSync(0, 'utf8'));
const kinds = { create: requests.NCreateRequest, set: requests.NSetRequest };
const result = { statuses: [], comments: [], events: [] };

function send(remaining) {
  if (remaining.length === 0) {
    process.stdout.write(JSON.stringify(result), () => process.exit(0));
    return;
  }
  const [{ kind, uid, attributes }, ...rest] = remaining;
  const request = new kinds[kind](MPPS, uid);
  request.setDataset(new Dataset(attributes));
  request.on('response', (response) => {
    result.statuses.push(response.getStatus());
    result.comments.push(String(response.getCommandDataset().getElement('ErrorComment') || ''));
  });
  const client = new Client();
  client.addRequest(request);
  ['associationRejected', 'abort', 'networkError'].forEach((name) => {
    client.on(name, (detail) => result.events.push(`${name}: ${detail.message || JSON.stringify(detail)}`));
  });
  client.on('closed', () => send(rest));
  client.send('127.0.0.1', asked.port, asked.calling, asked.called, {
    connectTimeout: 10000,
    associationTimeout: 10000,
    pduTimeout: 15000,
  });
}

send(asked.requests);
