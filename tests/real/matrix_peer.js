// Somebody on Matrix whose keys Element's own library keeps: signs in, sets up cross-signing, makes a room with the bot, and
// verifies it there. Says on standard output, a JSON object a line, what happens; `yes` on standard input confirms the pictures.
// Usage: node matrix_peer.js SERVER USER PASSWORD BOT plain|encrypted
'use strict';
const readline = require('node:readline');
const {
  DecryptionSettings, DeviceId, DeviceLists, EventId, OlmMachine, RequestType, RoomId, RoomSettings, EncryptionAlgorithm, EncryptionSettings,
  TrustRequirement, UserId, VerificationMethod, initAsync,
} = require('@matrix-org/matrix-sdk-crypto-wasm');

const [server, user, password, bot, kind] = process.argv.slice(2);
const anyone = () => new DecryptionSettings(TrustRequirement.Untrusted);
const say = (what) => console.log(JSON.stringify(what));
let token = '';
let transaction = 0;

async function call(method, path, body) {
  const answer = await fetch(`${server}/_matrix/client/v3${path}`, {
    method, body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text;
}

async function carryOut(machine, request) {
  const path = {
    [RequestType.KeysUpload]: ['POST', '/keys/upload'], [RequestType.KeysQuery]: ['POST', '/keys/query'],
    [RequestType.KeysClaim]: ['POST', '/keys/claim'], [RequestType.SignatureUpload]: ['POST', '/keys/signatures/upload'],
    [RequestType.ToDevice]: ['PUT', `/sendToDevice/${request.event_type}/${request.txn_id}`],
  }[request.type];
  const answer = request.type === RequestType.RoomMessage
    ? JSON.stringify({ event_id: await send(machine, request.room_id, request.event_type, JSON.parse(request.body)) })
    : await call(...path, request.body);
  if (request.id) await machine.markRequestAsSent(request.id, request.type, answer);
}

async function send(machine, room, type, content) {
  if (kind === 'encrypted') {
    const id = new RoomId(room);
    const people = [new UserId(bot), new UserId(user)];
    const claim = await machine.getMissingSessions(people.map((one) => new UserId(one.toString())));
    if (claim) await carryOut(machine, claim);
    const shares = await machine.shareRoomKey(id, people, new EncryptionSettings());
    for (const share of shares) await carryOut(machine, share);
    content = JSON.parse(await machine.encryptRoomEvent(new RoomId(room), type, JSON.stringify(content)));
    type = 'm.room.encrypted';
  }
  transaction += 1;
  return JSON.parse(await call('PUT', `/rooms/${room}/send/${type}/t${transaction}`, content)).event_id;
}

async function main() {
  await initAsync();
  const login = JSON.parse(await call('POST', '/login', {
    type: 'm.login.password', identifier: { type: 'm.id.user', user }, password, device_id: 'ELEMENT',
  }));
  token = login.access_token;
  const machine = await OlmMachine.initialize(new UserId(user), new DeviceId('ELEMENT'));
  const tend = async () => { for (const request of await machine.outgoingRequests()) await carryOut(machine, request); };
  await tend();
  const own = await machine.bootstrapCrossSigning(true);
  if (own.uploadKeysRequest) await carryOut(machine, own.uploadKeysRequest);
  await call('POST', '/keys/device_signing/upload', own.uploadSigningKeysRequest.body);
  await carryOut(machine, own.uploadSignaturesRequest);

  const sealed = [{ type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } }];
  const room = JSON.parse(await call('POST', '/createRoom', {
    is_direct: true, invite: [bot], initial_state: kind === 'encrypted' ? sealed : [],
  })).room_id;

  let since = '';
  let joined = false;
  const seen = new Set();
  const look = async () => {
    const sync = JSON.parse(await call('GET', `/sync?timeout=300${since && `&since=${since}`}`));
    since = sync.next_batch;
    const lists = sync.device_lists || {};
    await machine.receiveSyncChanges(
      JSON.stringify((sync.to_device || {}).events || []),
      new DeviceLists((lists.changed || []).map((one) => new UserId(one)), (lists.left || []).map((one) => new UserId(one))),
      new Map(Object.entries(sync.device_one_time_keys_count || {})), undefined, anyone(),
    );
    await tend();
    const here = ((sync.rooms || {}).join || {})[room];
    for (let event of here ? here.timeline.events : []) {
      if (event.type === 'm.room.member' && event.state_key === bot && event.content.membership === 'join') joined = true;
      if (event.sender === user || seen.has(event.event_id)) continue;
      seen.add(event.event_id);
      if (event.type === 'm.room.encrypted') {
        const opened = await machine.decryptRoomEvent(JSON.stringify({ ...event, room_id: room }), new RoomId(room), anyone()).catch(() => null);
        if (!opened) continue;
        event = JSON.parse(opened.event);
      }
      if (event.type === 'm.room.message') say({ heard: event.content.body });
      await machine.receiveVerificationEvent(JSON.stringify({ ...event, room_id: room }), new RoomId(room));
      await tend();
    }
  };
  while (!joined) await look();
  if (kind === 'encrypted') {
    const settings = new RoomSettings();
    settings.algorithm = EncryptionAlgorithm.MegolmV1AesSha2;
    await machine.setRoomSettings(new RoomId(room), settings);
  }
  await machine.updateTrackedUsers([new UserId(bot)]);
  await tend();
  const identity = await machine.getIdentity(new UserId(bot));
  if (!identity) throw new Error('the bot has no identity');
  const content = JSON.parse(identity.verificationRequestContent([VerificationMethod.SasV1]));
  const flow = await send(machine, room, 'm.room.message', content);
  const request = identity.requestVerification(new RoomId(room), new EventId(flow), [VerificationMethod.SasV1]);
  while (!request.isReady()) await look();
  const [sas, start] = await request.startSas();
  await carryOut(machine, start);
  while (!sas.canBePresented()) await look();
  say({ pictures: sas.emoji().map((one) => `${one.symbol} ${one.description}`) });

  const input = readline.createInterface({ input: process.stdin });
  let agreed = false;
  input.on('line', (line) => { agreed = agreed || line === 'yes'; });
  while (!agreed) await look();
  for (const step of await sas.confirm()) await carryOut(machine, step);
  while (!sas.isDone() && !sas.isCancelled()) await look();
  for (let tries = 0; tries < 10; tries += 1) await look();
  say({ done: sas.isDone(), verified: (await machine.getIdentity(new UserId(bot))).isVerified(), code: sas.cancelInfo()?.cancelCode() });
  process.exit(0);
}

main().catch((error) => { say({ error: String(error) }); process.exit(1); });
