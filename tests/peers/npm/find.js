// dcmjs-dimse as worklist SCU: the queries of a JSON document on standard input, some at once, each on an association
// of its own; what came back for each on standard output. Decides nothing: what is right is the caller's to say.
'use strict';

const fs = require('fs');
const { Client, Dataset, log, requests } = require('dcmjs-dimse');

log.setLevel('silent');

const MODALITY_WORKLIST = '1.2.840.10008.5.1.4.31';
const AT_ONCE = 4;
const queries = JSON.parse(fs.readFileSync(0, 'utf8'));
const results = queries.map(() => ({ statuses: [], comments: [], answers: [], events: [] }));

function request(query, result) {
  const made = new requests.CFindRequest();
  made.setAffectedSopClassUid(MODALITY_WORKLIST);
  made.setDataset(new Dataset(query.asked));
  made.on('response', (response) => {
    result.statuses.push(response.getStatus());
    result.comments.push(String(response.getCommandDataset().getElement('ErrorComment') || ''));
    if (response.hasDataset()) {
      result.answers.push(response.getDataset().getElements());
    }
  });
  return made;
}

let next = 0;
let left = AT_ONCE;

function ask() {
  if (next === queries.length) {
    left -= 1;
    if (left === 0) {
      process.stdout.write(JSON.stringify(results), () => process.exit(0));
    }
    return;
  }
  const number = next;
  next += 1;
  const { port, called, calling } = queries[number];
  const client = new Client();
  client.addRequest(request(queries[number], results[number]));
  ['associationRejected', 'abort', 'networkError'].forEach((name) => {
    client.on(name, (detail) => results[number].events.push(`${name}: ${detail}`));
  });
  client.on('closed', ask);
  client.send('127.0.0.1', port, calling, called, { connectTimeout: 10000, associationTimeout: 10000, pduTimeout: 15000 });
}

for (let worker = 0; worker < AT_ONCE; worker += 1) {
  ask();
}
