import { describe, expect, test } from 'vitest';
import { PlenaryError } from '@plenary/cluster/errors';
import { rejoinProofText, type ClientRequest } from '@plenary/cluster/protocol';
import type { TokenGrant } from './meeting-types.ts';
import type { RejoinTicketStore, RejoinTicket } from './rejoin.ts';
import { createSessionKey } from './session-key.ts';
import { eventually } from './testing/eventually.ts';
import { EDGE_A, EDGE_B, meet, phase, sessionReply } from './testing/meet.ts';
import { ScriptedEdge, refuse } from './testing/scripted-edge.ts';

/** An edge that accepts `token` and `rejoin-n`, issues the next rejoin token at each join, and refuses tokens on demand. */
function edgeWithTickets() {
  const edge = new ScriptedEdge();
  const refused = new Map<string, Parameters<typeof refuse>[0]>();
  let joins = 0;
  edge.on.join = ({ token }, socket) => {
    const code = refused.get(token);
    if (code !== undefined) refuse(code);
    joins += 1;
    const session = { ...(sessionReply(edge, socket.url) as object), rejoinToken: `rejoin-${joins}` };
    return { session, room: edge.room, media: edge.media() };
  };
  return { edge, refused };
}

/** Stores a ticket as a browser does across a reload. */
class Kept implements RejoinTicketStore {
  ticket: RejoinTicket | undefined;
  isReadable = true;
  load(): ReturnType<RejoinTicketStore['load']> {
    return Promise.resolve(this.isReadable ? this.ticket : 'unreadable');
  }
  save(ticket: RejoinTicket | undefined): Promise<void> {
    this.ticket = ticket;
    return Promise.resolve();
  }
}

const tokensOf = (edge: ScriptedEdge): string[] => edge.requests('join').map(({ token }) => token);

async function isProofOf(
  { token, sessionKey, proof = '' }: ClientRequest<'join'>,
  nonce: string,
): Promise<boolean> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = await crypto.subtle.importKey('jwk', { ...sessionKey }, algorithm, false, ['verify']);
  const signature = Uint8Array.from(atob(proof.replaceAll('-', '+').replaceAll('_', '/')), (c) =>
    c.charCodeAt(0),
  );
  const text = new TextEncoder().encode(rejoinProofText(nonce, token));
  return crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, signature, text);
}

describe('a rejoin', () => {
  test('[RJ5] [RJ15] after the session has ended uses the rejoin token, with the same key and its proof', async () => {
    const { edge } = edgeWithTickets();
    edge.on.resume = () => refuse('session_gone');
    const meeting = meet(edge);
    await meeting.join();

    edge.socket.drop();

    await eventually(() => expect(tokensOf(edge)).toEqual(['token', 'rejoin-1']));
    await eventually(() => expect(phase(meeting)).toBe('joined'));

    const [first, second] = edge.requests('join');

    expect(second?.sessionKey).toEqual(first?.sessionKey);
    expect(second?.requestId).not.toBe(first?.requestId);
    expect(first?.proof).toBeUndefined();

    if (second === undefined) throw new Error('no second join');

    expect(await isProofOf(second, `connection-${edge.sockets.length}`)).toBe(true);
  });

  test('[RJ5] by "Try again" is by the same person, each time with the newest token', async () => {
    const { edge, refused } = edgeWithTickets();
    const meeting = meet(edge);
    await meeting.join();

    refused.set('token', 'token_expired');
    await meeting.leave();
    await meeting.join();

    await meeting.leave();
    await meeting.join();

    expect(tokensOf(edge)).toEqual(['token', 'rejoin-1', 'rejoin-2']);
  });

  test('[RJ5] after a reload uses the stored ticket once the page’s own token has expired', async () => {
    const { edge, refused } = edgeWithTickets();
    const rejoin = new Kept();
    await meet(edge, { rejoin }).join();
    refused.set('token', 'token_expired');
    await meet(edge, { rejoin }).join();

    expect(tokensOf(edge)).toEqual(['token', 'token', 'rejoin-1']);
    expect(rejoin.ticket?.token).toBe('rejoin-2');

    // A new invitation was given on purpose, so it precedes the stored ticket.
    await meet(edge, { rejoin, token: 'other' }).join();

    expect(tokensOf(edge).at(-1)).toBe('other');
  });

  test('[RJ20] tries the stored ticket before it asks for a token, and forgets an expired ticket', async () => {
    const { edge, refused } = edgeWithTickets();
    const rejoin = new Kept();
    rejoin.ticket = { token: 'kept', key: await createSessionKey() };
    let tokenRequests = 0;
    const getToken = (): Promise<string> => {
      tokenRequests += 1;
      return Promise.resolve('given');
    };
    await meet(edge, { rejoin, getToken }).join();

    expect([tokensOf(edge), tokenRequests]).toEqual([['kept'], 0]);

    refused.set('rejoin-1', 'token_expired');
    await meet(edge, { rejoin, getToken }).join();

    expect([tokensOf(edge), tokenRequests]).toEqual([['kept', 'rejoin-1', 'given'], 1]);

    const [, , last] = edge.requests('join');

    expect(last?.proof).toBeUndefined();
    expect(rejoin.ticket.token).toBe('rejoin-2');
  });

  test('[RJ22] fails with `access_revoked` after the access was revoked, and nothing else is tried', async () => {
    const { edge, refused } = edgeWithTickets();
    let tokenRequests = 0;
    const getToken = (): Promise<string> => Promise.resolve(`given-${(tokenRequests += 1)}`);
    const meeting = meet(edge, { getToken });
    await meeting.join();

    refused.set('rejoin-1', 'access_revoked');
    await meeting.leave();

    await expect(meeting.join()).rejects.toMatchObject({ code: 'access_revoked' });
    expect(tokensOf(edge)).toEqual(['given-1', 'rejoin-1']);
  });

  test('[RJ14] [RJ20] of a guest asks for a new token, and no ticket of a guest is stored', async () => {
    const { edge } = edgeWithTickets();
    const rejoin = new Kept();
    let tokenRequests = 0;
    const meeting = meet(edge, {
      rejoin,
      getToken: () => Promise.resolve({ token: `guest-${(tokenRequests += 1)}`, canRejoin: false }),
    });
    await meeting.join();

    expect(rejoin.ticket).toBeUndefined();

    await meeting.leave();
    await meeting.join();

    expect(tokensOf(edge)).toEqual(['guest-1', 'guest-2']);
  });

  test('[RJ18] does not become that of a guest while the browser’s store does not answer: the next attempt is by the same person', async () => {
    const { edge } = edgeWithTickets();
    const rejoin = new Kept();
    rejoin.ticket = { token: 'kept', key: await createSessionKey() };
    rejoin.isReadable = false;
    const getToken = (): Promise<TokenGrant> => Promise.resolve({ token: 'guest', canRejoin: false });
    const meeting = meet(edge, { rejoin, getToken });
    const unread = { code: 'browser_failed', detail: { reason: 'kept_unreadable' } };

    await expect(meeting.join()).rejects.toMatchObject(unread);
    expect(tokensOf(edge)).toEqual([]);

    rejoin.isReadable = true;
    await meeting.join();

    expect(tokensOf(edge)).toEqual(['kept']);

    // Or the user decides to join as a guest.
    rejoin.isReadable = false;
    const other = meet(edge, { rejoin, getToken });

    await expect(other.join()).rejects.toMatchObject(unread);

    other.joinAsNew();
    await other.join();

    expect(tokensOf(edge)).toEqual(['kept', 'guest']);
  });

  test('[RJ19] without guests allowed reports a browser store that does not answer', async () => {
    const rejoin = new Kept();
    rejoin.isReadable = false;
    const getToken = (): Promise<string> => Promise.reject(new PlenaryError('guests_not_allowed'));
    const meeting = meet(new ScriptedEdge(), { rejoin, getToken });

    await expect(meeting.join()).rejects.toMatchObject({ detail: { reason: 'kept_unreadable' } });
  });

  test('[RJ12] with a token of the application succeeds whatever the browser’s store does', async () => {
    const { edge } = edgeWithTickets();
    const rejoin = new Kept();
    rejoin.isReadable = false;
    await meet(edge, { rejoin, getToken: () => Promise.resolve('given') }).join();
    await meet(edge, { rejoin, token: 'invitation' }).join();

    expect(tokensOf(edge)).toEqual(['given', 'invitation']);
  });

  test('[HL48] keeps its ticket when an edge has a wrong clock, and tries the other edges', async () => {
    const { edge } = edgeWithTickets();
    const join = edge.on.join;
    const meeting = meet(edge, { edgeUrls: [EDGE_A, EDGE_B] });
    await meeting.join();

    edge.on.resume = () => refuse('session_gone');
    edge.on.join = (request, socket) => {
      if (socket.url !== EDGE_B) return join?.(request, socket);
      throw new PlenaryError('token_expired', undefined, {
        detail: { reason: 'expired', claim: 'exp', seconds: 60 },
      });
    };
    edge.socket.drop();

    await eventually(() => expect(phase(meeting)).toBe('joined'));
    expect(tokensOf(edge).at(-1)).toBe('rejoin-1');
    expect(edge.socket.url).toBe(EDGE_A);
  });

  test('[RJ23] without ticket and token source reports the refusal of the token', async () => {
    const { edge, refused } = edgeWithTickets();
    refused.set('token', 'token_expired');

    await expect(meet(edge, { rejoin: new Kept() }).join()).rejects.toMatchObject({ code: 'token_expired' });
    expect(tokensOf(edge)).toEqual(['token']);
  });
});
