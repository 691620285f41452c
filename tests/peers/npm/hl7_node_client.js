// node-hl7-client as a RIS: sends orders that it builds itself over one connection, each after the answer to the one
// before. Asked for on stdin as {port, count}; prints {answers: [[MSA-1, MSA-2], ...]}.
'use strict';

const { Client, Message } = require('node-hl7-client');

const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const answers = [];
const alive = setInterval(() => {}, 1000); // the library lets the process end while its socket is open

function order(number) {
  const message = new Message({
    messageHeader: { msh_9_1: 'ORM', msh_9_2: 'O01', msh_9_3: 'ORM_O01', msh_10: `N${number}`, msh_11_1: 'T' },
  });
  message.set('MSH.18', 'UNICODE UTF-8');
  const pid = message.addSegment('PID');
  pid.set('3.1', '4711');
  pid.set('3.4', 'HOSP');
  pid.set('5.1', 'Müßig');
  pid.set('5.2', 'Eva');
  const orc = message.addSegment('ORC');
  orc.set('1', 'NW');
  orc.set('2', `P${number}`);
  return message;
}

const client = new Client({ host: '127.0.0.1' });
const connection = client.createOutbound({ port: asked.port, waitAck: false }, (response) => {
  // It takes the terminator of the last segment, which the standard wants, for the beginning of one without a name.
  const answer = new Message({ text: response.getMessage().toString().trim() });
  answers.push([answer.get('MSA.1').toString(), answer.get('MSA.2').toString()]);
  next();
});

async function next() {
  if (answers.length < asked.count) {
    await connection.sendMessage(order(answers.length));
    return;
  }
  clearInterval(alive);
  await connection.close();
  process.stdout.write(JSON.stringify({ answers }));
}

connection.on('client.connect', next);
connection.on('error', (error) => {
  process.stderr.write(String(error && error.stack));
  process.exit(1);
});
