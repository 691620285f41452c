// simple-hl7 as a RIS: sends orders that it builds itself over one connection, each after the answer to the one before.
// Asked for on stdin as {port, count}; prints {answers: [[MSA-1, MSA-2], ...]}.
'use strict';

const hl7 = require('simple-hl7');

const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const answers = [];
const client = hl7.Server.createTcpClient({
  host: '127.0.0.1',
  port: asked.port,
  keepalive: true,
  callback: (error, answer) => {
    if (error) {
      process.stderr.write(String(error.stack));
      process.exit(1);
    }
    const msa = answer.getSegment('MSA');
    answers.push([msa.getField(1), msa.getField(2)]);
    setImmediate(next); // it is still in the middle of reading this one
  },
});

function order(number) {
  const now = '20260131102233';
  const message = new hl7.Message('RIS', 'HOSP', 'BROKER', 'RAD', now, '', ['ORM', 'O01'], `S${number}`, 'T', '2.3.1');
  for (const field of ['', '', '', '', '', 'UNICODE UTF-8']) message.header.addField(field);
  message.addSegment('PID', '', '', ['4711', '', '', 'HOSP'], '', ['Müßig', 'Eva']);
  message.addSegment('ORC', 'NW', `P${number}`);
  return message;
}

function next() {
  if (answers.length < asked.count) {
    client.send(order(answers.length));
    return;
  }
  client.close();
  process.stdout.write(JSON.stringify({ answers }));
}

next();
