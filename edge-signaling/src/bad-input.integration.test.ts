import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { signJoinToken } from '@plenary/cluster';
import { CLIENT_REQUESTS, MAX_MESSAGE_LENGTH, MAX_PACKET_BYTES } from '@plenary/cluster/protocol';
import { SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TEST_API_KEY, TEST_API_SECRET } from './testing/edge-process.ts';
import { RawSocket, upgraded, upgradeStatus } from './testing/raw-socket.ts';
import { joinRequest, rtpParametersOf, testToken } from './testing/test-client.ts';
import type { TestClient } from './testing/test-client.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
/** Sits in a room of its own while others misbehave, and must not notice. */
let bystander: TestClient;
let bystanderRoom: string;

beforeAll(async () => {
  cluster = await TestCluster.start({ edges: 1, mediaNodes: 1 });
});
beforeEach(async () => {
  bystander = await cluster.client();
  bystanderRoom = `quiet-${randomUUID()}`;
  await bystander.join(bystanderRoom);
});
afterEach(async () => {
  // Whatever happened: the bystander still has its session, its media and its room.
  const friend = await cluster.client();
  const { media } = await friend.join(bystanderRoom, { displayName: 'Friend' });
  const { trackId } = await friend.publish(media, 'mic');
  await bystander.event(
    (event) => event.type === 'peer.joined' && event.peer.displayName === 'Friend',
    'Friend',
  );
  const { consumers } = await bystander.call('subscribe', { trackIds: [trackId] });
  expect(consumers).toHaveLength(1);
  expect(bystander.noticesOf('bye')).toEqual([]);
  expect(bystander.noticesOf('refused')).toEqual([]);
  cluster.closeClients();
});
afterAll(async () => cluster.stop());

describe('malformed and misplaced messages', () => {
  it('[EN2] an unknown name is refused, also one that every object has', async () => {
    const client = await cluster.client();
    for (const name of ['no.such', 'constructor', '__proto__', 'toString', '', 'x'.repeat(1_000)]) {
      expect(await client.refusal(name, {})).toBe('unknown_message');
    }
    expect(
      await cluster.edge(0).metric('plenary_edge_messages_total', 'name="unknown"'),
    ).toBeGreaterThanOrEqual(6);
  });

  it('[ER2] a payload that does not fit its schema is refused', async () => {
    // A fresh socket for each try: one that goes on like this is rate-limited.
    const refusal = async (...payloads: unknown[]): Promise<string> =>
      (await cluster.client()).refusal('join', ...payloads);
    for (const payload of [
      null,
      1,
      'text',
      [],
      {},
      { roomId: '../etc' },
      { ...(await joinRequest('r')), roomId: 7 },
    ]) {
      expect(await refusal(payload)).toBe('malformed_message');
    }
    expect(await refusal()).toBe('malformed_message');
    expect(await refusal(await joinRequest('r'), {})).toBe('malformed_message');
  });

  it('[SE1] a message that does not fit the state is out of order, in each state', async () => {
    const client = await cluster.client();
    const inside = Object.keys(CLIENT_REQUESTS).filter((name) => name !== 'join' && name !== 'resume');
    for (const name of inside) expect(await client.refusal(name, {})).toBe('out_of_order');
    await client.join('states');
    expect(await client.refusal('join', await joinRequest('states'))).toBe('out_of_order');
    await client.call('leave', {});
    expect(await client.refusal('leave', {})).toBe('out_of_order');
    await client.join('states');
  });

  it('[SE23] a message that asks for no answer gets a refusal as a notice', async () => {
    const client = await cluster.client();
    client.socket.emit('track.end', { trackId: 'x' });
    expect((await client.notice('refused')).code).toBe('out_of_order');
  });

  it('[RL5] [RL12] a message over the limit is refused, a packet over its limit closes the connection', async () => {
    const client = await cluster.client();
    await client.join('large');
    const text = 'x'.repeat(MAX_MESSAGE_LENGTH + 1);
    expect(await client.refusal('chat.post', { requestId: 'r', text })).toBe('message_too_large');
    expect(await client.refusal('chat.post', { requestId: 'r', text: 'y'.repeat(4_001) })).toBe(
      'malformed_message',
    );
    client.socket.emit('chat.post', 'z'.repeat(MAX_PACKET_BYTES + 1));
    await waitFor('the connection to close', () => client.isClosed);
  });

  it('[PR11] another version of the protocol is told so', async () => {
    const client = await cluster.client();
    expect(await client.refusal('join', await joinRequest('v', { protocolVersion: 99 }))).toBe(
      'protocol_version',
    );
  });

  it('[SE22] what names other tracks, consumers or epochs reaches only one’s own peer', async () => {
    const [client, other] = [await cluster.client(), await cluster.client()];
    await client.join('own');
    const { session } = await other.join('own');
    await client.refusal('unsubscribe', { consumerIds: ['c'], peerId: session.peerId, epoch: 2 ** 50 });
    const last = cluster.mediaNode(0).callsOf('unsubscribe').at(-1);
    expect(last).not.toMatchObject({ peerId: session.peerId });
  });
});

describe('tokens', () => {
  it('[TK1] [TK2] [TK15] [TK3] refuses tokens that are foreign, expired, old, for another room or for another use', async () => {
    const code = async (token: string): Promise<string> =>
      (await cluster.client()).refusal('join', await joinRequest('tk', { token }));
    const foreign = await signJoinToken(TEST_API_KEY, 'x'.repeat(40), grantsOf('tk'));
    const unknownKey = await signJoinToken('nobody', TEST_API_SECRET, grantsOf('tk'));
    expect(await code(foreign)).toBe('token_invalid');
    expect(await code(unknownKey)).toBe('token_invalid');
    expect(await code('not.a.token')).toBe('token_invalid');
    expect(await code(await handMade({ alg: 'HS256' }, 'plenary-join', -3_600, 600))).toBe('token_expired');
    expect(await code(await handMade({ alg: 'HS256' }, 'plenary-join', -3_600, 86_400))).toBe(
      'token_expired',
    );
    expect(await code(await handMade({ alg: 'HS256' }, 'plenary-session', 0, 600))).toBe('token_invalid');
    expect(await code(await handMade({ alg: 'HS512' }, 'plenary-join', 0, 600))).toBe('token_invalid');
    const unsigned = `${btoa('{"alg":"none","kid":"test-key"}')}.${btoa(JSON.stringify(grantsOf('tk')))}.`;
    expect(await code(unsigned.replaceAll('=', ''))).toBe('token_invalid');
    expect(await code(await testToken('elsewhere'))).toBe('token_wrong_room');
    const { session } = await (await cluster.client()).join('tk');
    expect(await code(session.sessionToken)).toBe('token_invalid');
    const client = await cluster.client();
    const asSession = { roomId: 'tk', sessionToken: await testToken('tk') };
    const resume = await client.resumeRequest(client, asSession, '0-0');
    expect(await client.refusal('resume', resume)).toBe('token_invalid');
  });

  it('[TK4] what the token does not grant is forbidden', async () => {
    const client = await cluster.client();
    const token = await testToken('grants', { publish: ['microphone'] });
    await client.join('grants', { token });
    const publish = (source: string, kind: string) => ({
      requestId: source,
      transportId: 't',
      kind,
      source,
      rtpParameters: rtpParametersOf(source === 'camera' ? 'video' : 'audio'),
      paused: false,
    });
    expect(await client.refusal('track.publish', publish('camera', 'video'))).toBe('forbidden');
    expect(await client.refusal('track.publish', publish('microphone', 'video'))).toBe(
      'invalid_media_parameters',
    );
    expect(await client.refusal('track.publish', publish('microphone', 'audio'))).toBe('ok');

    const viewer = await cluster.client();
    const viewing = await viewer.join('grants', { token: await testToken('grants', { role: 'viewer' }) });
    expect(viewing.media.sendTransport).toBeUndefined();
    expect(await viewer.refusal('track.publish', publish('microphone', 'audio'))).toBe('forbidden');
  });
});

describe('floods and garbage', () => {
  it('[RL1] [RL2] a flooding socket is first refused, then dropped with the reason', async () => {
    const client = await cluster.client();
    await client.join('flood');
    expect(await client.refusal('roster.page', { cursor: '' })).toBe('ok');
    const answers = new Set<string>();
    for (let index = 0; index < 600; index += 1) {
      client.socket.emit(
        'roster.page',
        { cursor: '' },
        (reply: { ok: boolean; error?: { code: string } }) => {
          answers.add(reply.error?.code ?? 'ok');
        },
      );
    }
    expect((await client.notice('bye')).code).toBe('flooding');
    await waitFor('the connection to close', () => client.isClosed);
    // What was allowed may still have been waiting for the store when the socket was dropped.
    answers.delete('ok');
    expect([...answers]).toEqual(['rate_limited']);
  });

  it('[RL10] frames that carry no message at all are limited too', async () => {
    const raw = await RawSocket.open(cluster.edge(0).url);
    await raw.enterNamespace();
    for (let index = 0; index < 2_000; index += 1) raw.send('3');
    await raw.closed();
    expect(raw.received.join('')).toContain('flooding');
  });

  it.each([
    ['pings', 0x89],
    ['pongs that nobody asked for', 0x8a],
  ])('[RL10] %s are limited too', async (_, firstByte) => {
    const socket = await upgraded(cluster.edge(0).url);
    const masked = (first: number, text: string): Buffer =>
      Buffer.from([first, 0x80 | text.length, 0, 0, 0, 0, ...Buffer.from(text)]);
    socket.write(masked(0x81, '40'));
    const closed = once(socket, 'close');
    // Else the edge would close it for the answer that does not come.
    socket.on('data', (bytes: Buffer) => {
      if (bytes.includes('\u00012', 0, 'latin1')) socket.write(masked(0x81, '3'));
    });
    await once(socket, 'data');
    socket.write(Buffer.concat(Array.from({ length: 2_000 }, () => masked(firstByte, ''))));
    await closed;
  });

  it('[SE22] garbage on the wire closes that connection only', async () => {
    const garbage = [
      '4{',
      '42',
      '42[',
      '4\u0000',
      '49["x"]',
      '451000000-["x"]',
      '45-["x"]',
      '42["join",',
      'x',
      '40/other,',
      '4',
      '43',
      '41',
    ];
    for (const frame of garbage) {
      const raw = await RawSocket.open(cluster.edge(0).url);
      await raw.enterNamespace();
      raw.send(frame);
      raw.send('42["error",{"message":"x"}]');
      raw.send('42[7,{}]');
      // Either the edge closed it, or it answers on; it must do one of the two.
      await raw.closedOrAnswering();
      raw.close();
    }
    const binary = await RawSocket.open(cluster.edge(0).url);
    await binary.enterNamespace();
    binary.send(new Uint8Array([1, 2, 3]));
    await binary.closed();
    const mute = await RawSocket.open(cluster.edge(0).url);
    mute.send('garbage before the namespace');
    await mute.closed();
  });

  it('[HT3] garbage over HTTP gets an answer that fits', async () => {
    const { url } = cluster.edge(0);
    const status = async (path: string, init?: RequestInit): Promise<number> =>
      (await fetch(`${url}${path}`, init)).status;
    expect(await status('/socket.io/?EIO=4&transport=polling')).toBe(400);
    expect(await status('/socket.io/?EIO=3&transport=websocket')).toBe(400);
    expect(await status('/socket.io/?EIO=4&transport=websocket&sid=none')).toBe(400);
    expect(await status('/%ff')).toBe(404);
    expect(await status('/../../etc/passwd')).toBe(404);
    expect(await status('/health', { method: 'DELETE' })).toBe(405);
    expect(await status('/api/guest-token', { method: 'POST', body: '{}' })).toBe(403);
  });

  it('[HT2] a page of another site opens no socket', async () => {
    const status = async (origin: string): Promise<number> => upgradeStatus(cluster.edge(0).url, { origin });
    expect(await status('https://evil.example')).toBe(403);
    expect(await status('null')).toBe(403);
    expect(await status('http://localhost:5173')).toBe(101);
    expect(await status(cluster.edge(0).url)).toBe(101);
  });
});

function grantsOf(room: string) {
  return { sub: 'ann', room, role: 'speaker' as const, publish: ['microphone' as const] };
}

/** A token of the right key that is wrong in one respect. */
async function handMade(
  header: { alg: string },
  audience: string,
  issuedInSeconds: number,
  lifetimeSeconds: number,
): Promise<string> {
  const issuedAt = Math.floor(Date.now() / 1_000) + issuedInSeconds;
  return new SignJWT(grantsOf('tk'))
    .setProtectedHeader({ ...header, kid: TEST_API_KEY })
    .setIssuer(TEST_API_KEY)
    .setAudience(audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + lifetimeSeconds)
    .sign(new TextEncoder().encode(TEST_API_SECRET));
}
