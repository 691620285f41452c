// dcmjs-dimse as SCP: `node scp.js PORT FOLDER MAXIMUM_LENGTH [TRANSFER_SYNTAX ...]` answers C-ECHO and C-STORE.
// Each data set is kept as it came off the wire, before dcmjs reads it, as FOLDER/<SOP Instance UID>@<transfer syntax>.
'use strict';

const fs = require('fs');
const path = require('path');
const { Writable } = require('stream');
const { Dataset, Scp, Server, constants, log, responses } = require('dcmjs-dimse');

log.setLevel('silent');

const [port, folder, maximumLength, ...refused] = process.argv.slice(2);

class Collected extends Writable {
  constructor(name) {
    super();
    this.name = name;
    this.pieces = [];
  }

  _write(piece, _encoding, done) {
    this.pieces.push(Buffer.from(piece));
    done();
  }
}

class Keeping extends Scp {
  associationRequested(association) {
    association.setMaxPduLength(Number(maximumLength));
    association.getPresentationContexts().forEach(({ id }) => {
      const context = association.getPresentationContext(id);
      const syntax = context.getTransferSyntaxUids().find((each) => !refused.includes(each));
      if (syntax) {
        context.setResult(constants.PresentationContextResult.Accept, syntax);
      } else {
        context.setResult(constants.PresentationContextResult.RejectTransferSyntaxesNotSupported);
      }
    });
    this.sendAssociationAccept();
  }

  createStoreWritableStream(context, request) {
    return new Collected(`${request.getAffectedSopInstanceUid()}@${context.getAcceptedTransferSyntaxUid()}`);
  }

  createDatasetFromStoreWritableStream(stream, context, callback) {
    const content = Buffer.concat(stream.pieces);
    fs.writeFileSync(path.join(folder, stream.name), content);
    callback(new Dataset(content, context.getAcceptedTransferSyntaxUid()));
  }

  cEchoRequest(request, callback) {
    const response = responses.CEchoResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
  }

  cStoreRequest(request, callback) {
    // A data set that dcmjs could read has its SOP Instance UID; anything else is an error to our sender.
    const isRead = request.getDataset().getElement('SOPInstanceUID') === request.getAffectedSopInstanceUid();
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(isRead ? constants.Status.Success : constants.Status.ProcessingFailure);
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

const server = new Server(Keeping);
server.on('networkError', (error) => process.stderr.write(`${error.message}\n`));
server.listen(Number(port));
