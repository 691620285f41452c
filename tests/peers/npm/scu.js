// dcmjs-dimse as SCU: one association, its requests from a JSON document on standard input, what came back on
// standard output. Decides nothing: what is right is the caller's to say.
'use strict';

const fs = require('fs');
const path = require('path');
const { Client, Implementation, log, requests } = require('dcmjs-dimse');

log.setLevel('silent');

const asked = JSON.parse(fs.readFileSync(0, 'utf8'));
const result = { statuses: [], answers: [], encoded: [], events: [] };

function build() {
  if (asked.operation === 'echo') {
    return Array.from({ length: asked.times || 1 }, () => new requests.CEchoRequest());
  }
  if (asked.operation === 'find') {
    return [requests.CFindRequest.createWorklistFindRequest(asked.keys)];
  }
  return asked.files.map((file) => new requests.CStoreRequest(file));
}

function keep(request) {
  // After the request has left: dcmjs-dimse re-encodes what it reads, into the transfer syntax that was accepted.
  const dataSet = request.getDataset();
  const file = path.join(asked.folder, `sent-${result.encoded.length}`);
  fs.writeFileSync(file, dataSet.getDenaturalizedDataset());
  result.encoded.push({
    file,
    transfer_syntax: dataSet.getTransferSyntaxUid(),
    sop_instance_uid: dataSet.getElement('SOPInstanceUID'),
  });
}

if (asked.maximum_length) {
  Implementation.setMaxPduLength(asked.maximum_length);
}
const client = new Client();
build().forEach((request) => {
  request.on('response', (response) => {
    result.statuses.push(response.getStatus());
    if (asked.operation === 'find' && response.hasDataset()) {
      result.answers.push(response.getDataset().getElements());
    }
    if (asked.operation === 'store') {
      keep(request);
    }
  });
  client.addRequest(request);
});
['associationAccepted', 'associationRejected', 'associationReleased', 'abort', 'networkError'].forEach((name) => {
  client.on(name, (detail) => {
    const seen = name === 'associationAccepted' || name === 'associationReleased' ? undefined : String(detail.message || JSON.stringify(detail));
    result.events.push(seen ? `${name}: ${seen}` : name);
  });
});
client.on('closed', () => {
  process.stdout.write(JSON.stringify(result), () => process.exit(0));
});
client.send('127.0.0.1', asked.port, asked.calling, asked.called, { connectTimeout: 10000, associationTimeout: 10000, pduTimeout: 15000 });
