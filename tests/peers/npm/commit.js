// dcmjs-dimse as a device that asks for storage commitment: the N-ACTION of a JSON document on standard input, then its
// report, on the association that asked while that is held open, or on one of the broker's; what came on standard output.
'use strict';

const fs = require('fs');
const { Client, Dataset, Scp, Server, constants, log, requests, responses } = require('dcmjs-dimse');

log.setLevel('silent');

const PUSH = '1.2.840.10008.1.20.1';
const INSTANCE = '1.2.840.10008.1.20.1.1';
const asked = JSON.parse(fs.readFileSync(0, 'utf8'));
const result = { statuses: [], reports: [], events: [] };

function end() {
  process.stdout.write(JSON.stringify(result), () => process.exit(0));
}

function reported(request, callback, where, caller) {
  result.reports.push({
    where,
    caller,
    type: request.getEventTypeId(),
    attributes: request.getDataset().getElements(),
  });
  const response = responses.NEventReportResponse.fromRequest(request);
  response.setStatus(constants.Status.Success);
  callback(response);
  setTimeout(end, 500);
}

class Listening extends Scp {
  associationRequested(association) {
    this.caller = association.getCallingAeTitle().trim();
    association.getPresentationContexts().forEach(({ id }) => {
      const context = association.getPresentationContext(id);
      context.setResult(constants.PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    });
    this.sendAssociationAccept();
  }

  nEventReportRequest(request, callback) {
    reported(request, callback, 'new', this.caller);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

const server = new Server(Listening);
server.listen(asked.listen);

const request = new requests.NActionRequest(PUSH, INSTANCE, 1);
request.setDataset(new Dataset(asked.attributes));
request.on('response', (response) => result.statuses.push(response.getStatus()));
const client = new Client();
client.addRequest(request);
client.on('nEventReportRequest', (report, callback) => reported(report, callback, 'same', asked.called));
['associationRejected', 'abort', 'networkError'].forEach((name) => {
  client.on(name, (detail) => result.events.push(`${name}: ${detail.message || JSON.stringify(detail)}`));
});
client.send('127.0.0.1', asked.port, asked.calling, asked.called, {
  connectTimeout: 10000,
  associationTimeout: 10000,
  pduTimeout: 15000,
  associationLingerTimeout: asked.linger,
});
setTimeout(end, 20000);
