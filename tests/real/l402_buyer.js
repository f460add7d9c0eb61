// Buys a task by L402 with a client from npm and shows what came of it. The client's wallet is whoever reads standard output: an
// invoice to pay is said there as {"pay": BOLT11}, and its preimage read from standard input. Each answer is said as {"got": ...}.
// Usage: node l402_buyer.js fetch402|l402 BASE DESCRIPTION
'use strict';
const readline = require('node:readline');

const [kind, base, description] = process.argv.slice(2);
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (what) => console.log(JSON.stringify(what));
const tasks = `${base}/v1/tasks`;

async function paid(invoice) {
  say({ pay: invoice });
  return (await lines.next()).value;
}

const clients = {
  // @getalby/lightning-tools: fetch402, which gives what it bought to whoever asks again.
  async fetch402() {
    const { fetch402 } = require('@getalby/lightning-tools/402');
    const wallet = { payInvoice: async ({ invoice }) => ({ preimage: await paid(invoice) }) };
    const body = JSON.stringify({ description });
    const posted = await fetch402(tasks, { method: 'POST', body }, { wallet });
    const { credentials, amountSat } = posted.payment;
    say({ got: { status: posted.status, body: await posted.json(), sats: amountSat } });
    return async (path) => (await fetch402(base + path, {}, { wallet, credentials })).json();
  },
  // l402: an interceptor of axios, which keeps the token by the address's host.
  async l402() {
    const axios = require('axios');
    const { setupL402Interceptor, MemoryTokenStore, PaymentResult, Wallet } = require('l402');
    class Outside extends Wallet {
      async payInvoice(invoice) {
        return new PaymentResult(await paid(invoice), true);
      }
    }
    const web = axios.create();
    setupL402Interceptor(web, new Outside(), new MemoryTokenStore({ keyMode: 'hostname-only' }));
    const posted = await web.post(tasks, { description });
    say({ got: { status: posted.status, body: posted.data } });
    return async (path) => (await web.get(base + path)).data;
  },
};

async function main() {
  const look = await clients[kind]();
  for await (const path of lines) say({ got: await look(path) });
}

main().catch((error) => {
  say({ failed: `${error.name}: ${error.message}` });
  process.exitCode = 1;
});
