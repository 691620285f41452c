// dcmjs-dimse as MPPS SCP: `node mpps_scp.js PORT FOLDER` answers N-CREATE and N-SET. What dcmjs read of each is kept as
// FOLDER/<number>.json, in the order in which they came.
'use strict';

const fs = require('fs');
const path = require('path');
const { Scp, Server, constants, log, responses } = require('dcmjs-dimse');

log.setLevel('silent');

const [port, folder] = process.argv.slice(2);
const known = new Set();
let number = 0;

function keep(kind, uid, request) {
  number += 1;
  const document = { kind, uid, attributes: request.getDataset().getElements() };
  const file = path.join(folder, `${String(number).padStart(4, '0')}.json`);
  fs.writeFileSync(`${file}.part`, JSON.stringify(document));
  fs.renameSync(`${file}.part`, file);
}

class Keeping extends Scp {
  associationRequested(association) {
    association.getPresentationContexts().forEach(({ id }) => {
      const context = association.getPresentationContext(id);
      context.setResult(constants.PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    });
    this.sendAssociationAccept();
  }

  nCreateRequest(request, callback) {
    const uid = request.getAffectedSopInstanceUid();
    const response = responses.NCreateResponse.fromRequest(request);
    response.setStatus(known.has(uid) ? constants.Status.DuplicateSOPInstance : constants.Status.Success);
    known.add(uid);
    keep('create', uid, request);
    callback(response);
  }

  nSetRequest(request, callback) {
    const uid = request.getRequestedSopInstanceUid();
    const response = responses.NSetResponse.fromRequest(request);
    response.setStatus(known.has(uid) ? constants.Status.Success : constants.Status.NoSuchObjectInstance);
    keep('set', uid, request);
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

const server = new Server(Keeping);
server.on('networkError', (error) => process.stderr.write(`${error.message}\n`));
server.listen(Number(port));
