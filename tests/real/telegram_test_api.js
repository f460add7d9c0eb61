// Starts telegram-test-api on a free port of the loopback, says its URL on standard output, and ends with standard input.
'use strict';
const net = require('node:net');
const TelegramServer = require('telegram-test-api');

const probe = net.createServer().listen(0, '127.0.0.1', () => {
  const { port } = probe.address();
  probe.close(async () => {
    const server = new TelegramServer({ host: '127.0.0.1', port, storeTimeout: 3600 });
    await server.start();
    console.log(server.config.apiURL);
  });
});
process.stdin.resume().on('end', () => process.exit(0));
