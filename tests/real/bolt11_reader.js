// Reads invoices with light-bolt11-decoder: one a line on standard input, what it says on standard output.
'use strict';
const readline = require('node:readline');
const { decode } = require('light-bolt11-decoder');

readline.createInterface({ input: process.stdin }).on('line', (invoice) => {
  const found = decode(invoice);
  const value = (name) => found.sections.find((one) => one.name === name)?.value;
  console.log(JSON.stringify({
    amount: value('amount'), payment_hash: found.payment_hash ?? value('payment_hash'), description: value('description'),
    made_at: value('timestamp'), expiry: value('expiry'), prefix: value('coin_network')?.bech32,
  }));
});
