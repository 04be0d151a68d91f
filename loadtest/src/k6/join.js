/*
 * A person who joins a room, says something, reads what happens and leaves: the real protocol of docs/protocol.md,
 * spoken by k6 with nothing of our code. Started by `npm run load:join`, which writes the plan that is read below.
 *
 *     k6 run --no-usage-report --env PLENARY_LOAD_PLAN=/path/plan.json join.js
 *
 * The plan: { edgeUrls, apiKey, apiSecret, protocolVersion, rtpCapabilities, roomSize, holdMs, vus, duration or
 * iterations, summaryFile }. Media is asked for, its transports are opened and connected by a made-up fingerprint, but
 * no media flows: that is what the bots of `bench:join` are for.
 */
import { check } from 'k6';
import crypto from 'k6/crypto';
import encoding from 'k6/encoding';
import exec from 'k6/execution';
import { Counter, Rate, Trend } from 'k6/metrics';
import { WebSocket } from 'k6/websockets';

const plan = JSON.parse(open(__ENV.PLENARY_LOAD_PLAN));

for (const url of plan.edgeUrls) {
  if (!/^http:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/.test(url)) {
    throw new Error(
      `${url} is not a loopback address: this script loads nothing but a cluster on its own machine.`,
    );
  }
}

const joined = new Rate('plenary_joined');
const joinMs = new Trend('plenary_join_ms', true);
const enterMs = new Trend('plenary_enter_ms', true);
const chatMs = new Trend('plenary_chat_ms', true);
const errors = new Counter('plenary_errors');
const refusals = new Counter('plenary_refusals');
const events = new Counter('plenary_events');

export const options = {
  scenarios: {
    join:
      plan.iterations === undefined
        ? { executor: 'constant-vus', vus: plan.vus, duration: plan.duration, gracefulStop: '20s' }
        : { executor: 'per-vu-iterations', vus: plan.vus, iterations: plan.iterations, maxDuration: '60s' },
  },
  summaryTrendStats: ['min', 'med', 'p(95)', 'max'],
  // A failed join fails the run. The duration of joins is only reported, because it depends on the machine.
  thresholds: { plenary_joined: ['rate==1'], checks: ['rate==1'] },
};

/** How long anything may take before it counts as lost, in milliseconds. The protocol's own deadline for an answer is 10 s. */
const TIMEOUT_MS = 10_000;
/** How long a join is retried on a busy cluster, in milliseconds, with doubling delays of full jitter, as in the web client. */
const INSIST_FOR_MS = 20_000;
const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5_000;

export default async function () {
  const url = plan.edgeUrls[exec.vu.idInTest % plan.edgeUrls.length];
  const roomId = `load-${Math.floor((exec.vu.idInTest - 1) / plan.roomSize)}`;
  const name = `k6-${exec.vu.idInTest}-${exec.vu.iterationInScenario}`;
  const beganAt = Date.now();
  let client;
  try {
    client = await connect(url);
    const sentAt = Date.now();
    const reply = await insist(client, 'join', {
      protocolVersion: plan.protocolVersion,
      requestId: randomHex(16),
      roomId,
      token: makeToken(name, roomId),
      sessionKey: await makeSessionKey(),
      media: {
        rtpCapabilities: plan.rtpCapabilities,
        publish: true,
        dtls: { send: fingerprint(), receive: fingerprint() },
      },
    });
    joinMs.add(Date.now() - sentAt);
    enterMs.add(Date.now() - beganAt);
    joined.add(true);
    check(reply, {
      'the session is for this room': ({ session }) =>
        session.roomId === roomId && session.displayName === name,
      'the roster holds oneself': ({ session, room }) =>
        room.peerCount > room.peers.length || room.peers.some(({ peerId }) => peerId === session.peerId),
      'both transports are offered': ({ media }) =>
        [media.sendTransport, media.receiveTransport].every(
          (transport) => transport.iceCandidates.length > 0,
        ),
    });
    await chat(client, reply.session.peerId);
    await sleep(plan.holdMs);
    await client.request('leave', {});
  } catch (error) {
    const code = error.code ?? 'client_fault';
    if (client === undefined || !client.hasJoined()) joined.add(false);
    errors.add(1, { code });
    check(error, { 'no error': () => false });
    console.error(`${name}: ${code}: ${error.message ?? error}`);
  } finally {
    client?.close();
  }
}

/** Repeats a request under the same id while the cluster answers that it is too busy, as every client does. */
async function insist(client, name, request) {
  const deadline = Date.now() + INSIST_FOR_MS;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await client.request(name, request);
    } catch (error) {
      if (error.retryable !== true || Date.now() > deadline) throw error;
      refusals.add(1, { code: error.code });
      await sleep(Math.random() * Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS));
    }
  }
}

/** Posts a message and waits until it returns as an event of the room. */
async function chat(client, peerId) {
  const text = `hello ${randomHex(4)}`;
  const came = client.event((event) => event.type === 'chat.posted' && event.message.text === text);
  const postedAt = Date.now();
  await insist(client, 'chat.post', { requestId: randomHex(16), text });
  const event = await came;
  chatMs.add(Date.now() - postedAt);
  check(event, { 'the message is one’s own': ({ message }) => message.peerId === peerId });
}

/** Opens Socket.IO over a WebSocket. The first character of an Engine.IO 4 packet is its type. */
function connect(url) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/socket.io/?EIO=4&transport=websocket`);
    const pending = new Map();
    const waiting = new Set();
    let nextId = 0;
    let didJoin = false;
    let isClosing = false;

    const failAll = (error) => {
      for (const { reject: fail } of [...pending.values(), ...waiting]) fail(error);
      pending.clear();
      waiting.clear();
      reject(error);
    };
    const withDeadline = (what, start) =>
      new Promise((done, fail) => {
        const timer = setTimeout(() => fail({ code: 'timed_out', message: what }), TIMEOUT_MS);
        const end = (settle) => (value) => {
          clearTimeout(timer);
          settle(value);
        };
        start({ resolve: end(done), reject: end(fail) });
      });
    const client = {
      hasJoined: () => didJoin,
      request: (name, payload) =>
        withDeadline(name, (answer) => {
          const id = nextId++;
          pending.set(id, answer);
          socket.send(`42${id}${JSON.stringify([name, payload])}`);
        }).then((reply) => {
          if (name === 'join') didJoin = true;
          return reply;
        }),
      event: (fits) => withDeadline('event', (answer) => waiting.add({ fits, ...answer })),
      close: () => {
        isClosing = true;
        socket.close();
      },
    };

    const takeNotice = ([name, payload]) => {
      if (name === 'bye' || name === 'refused') failAll(payload);
      if (name !== 'event') return;
      events.add(1, { type: payload.event.type });
      for (const one of [...waiting]) {
        if (!one.fits(payload.event)) continue;
        waiting.delete(one);
        one.resolve(payload.event);
      }
    };
    const takeAnswer = (id, [envelope]) => {
      const answer = pending.get(id);
      pending.delete(id);
      if (answer === undefined) return;
      if (envelope.ok) answer.resolve(envelope.data);
      else answer.reject(envelope.error);
    };

    socket.onerror = (event) => failAll({ code: 'connection_failed', message: event.error });
    socket.onclose = () => {
      if (!isClosing) failAll({ code: 'connection_lost', message: 'the edge closed the connection' });
    };
    socket.onmessage = ({ data }) => {
      if (data === '2')
        socket.send('3'); // Ping, pong.
      else if (data.startsWith('0'))
        socket.send('40'); // Opened; asks for the namespace.
      else if (data.startsWith('40')) resolve(client);
      else if (data.startsWith('42')) takeNotice(JSON.parse(data.slice(2)));
      else if (data.startsWith('43')) {
        const [, id, body] = /^43(\d+)(.*)$/s.exec(data);
        takeAnswer(Number(id), JSON.parse(body));
      } else if (data.startsWith('44') || data.startsWith('41')) {
        failAll({ code: 'connection_refused', message: data });
      }
    };
  });
}

function makeToken(name, roomId) {
  const issuedAt = Math.floor(Date.now() / 1000);
  const signed = [
    { alg: 'HS256', typ: 'JWT', kid: plan.apiKey },
    {
      sub: name,
      name,
      room: roomId,
      role: 'speaker',
      publish: ['microphone', 'camera'],
      iss: plan.apiKey,
      aud: 'plenary-join',
      iat: issuedAt,
      exp: issuedAt + 600,
    },
  ]
    .map((part) => encoding.b64encode(JSON.stringify(part), 'rawurl'))
    .join('.');
  return `${signed}.${crypto.hmac('sha256', plan.apiSecret, signed, 'base64rawurl')}`;
}

/**
 * The public half of a key as a client makes it. Nothing is resumed here, so that the private one is not kept. Taken from the
 * raw point, since k6's JWK leaves out leading zeros, which RFC 7518 (6.2.1.2) wants: one join in 115 would be refused.
 */
async function makeSessionKey() {
  const { subtle } = globalThis.crypto;
  const pair = await subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  // 0x04, then both coordinates of 32 bytes.
  const point = await subtle.exportKey('raw', pair.publicKey);
  const [x, y] = [point.slice(1, 33), point.slice(33, 65)].map((bytes) =>
    encoding.b64encode(bytes, 'rawurl'),
  );
  return { kty: 'EC', crv: 'P-256', x, y };
}

function fingerprint() {
  const value = randomHex(32).toUpperCase().match(/../g).join(':');
  return { role: 'client', fingerprints: [{ algorithm: 'sha-256', value }] };
}

function randomHex(bytes) {
  return Array.from(new Uint8Array(crypto.randomBytes(bytes)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}

function sleep(delayMs) {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

/** Passes the figures to `load-join/main.ts`, which prints them. */
export function handleSummary(data) {
  return { [plan.summaryFile]: JSON.stringify(data) };
}
