// A holder of tokens with js-macaroon, which Go's authors of macaroons wrote. Reads a JSON object a line: a token and its root in
// base64, caveats to add. Says what it verified, and what is in the token then (as parts: its writer of binary fails beyond 200 bytes).
'use strict';
const readline = require('node:readline');
const { importMacaroon } = require('macaroon');

const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64'));
const base64 = (data) => Buffer.from(data).toString('base64');

const parts = (macaroon) => ({
  location: macaroon.location, identifier: base64(macaroon.identifier), signature: base64(macaroon.signature),
  caveats: macaroon.caveats.map((caveat) => base64(caveat.identifier)),
});

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { token, root, add } = JSON.parse(line);
  const macaroon = importMacaroon(bytes(token));
  const seen = [];
  macaroon.verify(bytes(root), (caveat) => { seen.push(caveat); return null; });
  const read = parts(macaroon);
  for (const caveat of add) macaroon.addFirstPartyCaveat(Buffer.from(caveat));
  console.log(JSON.stringify({ seen, read, narrowed: parts(macaroon) }));
});
