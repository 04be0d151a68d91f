import { describe, expect, test } from 'vitest';
import { PlenaryError } from '@plenary/cluster/errors';
import { rejoinProofText, type ClientRequest } from '@plenary/cluster/protocol';
import type { TokenGrant } from './meeting-types.ts';
import type { RejoinTicketStore, RejoinTicket } from './rejoin.ts';
import { createSessionKey } from './session-key.ts';
import { eventually } from './testing/eventually.ts';
import { EDGE_A, EDGE_B, meet, phase, sessionReply } from './testing/meet.ts';
import { ScriptedEdge, refuse } from './testing/scripted-edge.ts';

/** An edge that lets in `token` and `rejoin-n`, gives the next rejoin token with each join, and can refuse any of them. */
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

/** Keeps a ticket as a browser does over a reload. */
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

describe('coming back', () => {
  test('[RJ5] [RJ15] after the session is gone one joins by the rejoin token, with the same key and its proof', async () => {
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

  test('[RJ5] "Try again" after the end comes back as the same person, and each time by the newest token', async () => {
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

  test('[RJ5] a page that was loaded anew uses what was kept once its own token has expired', async () => {
    const { edge, refused } = edgeWithTickets();
    const rejoin = new Kept();
    await meet(edge, { rejoin }).join();
    refused.set('token', 'token_expired');
    await meet(edge, { rejoin }).join();
    expect(tokensOf(edge)).toEqual(['token', 'token', 'rejoin-1']);
    expect(rejoin.ticket?.token).toBe('rejoin-2');
    // A new invitation is somebody's decision: it counts more than what was kept.
    await meet(edge, { rejoin, token: 'other' }).join();
    expect(tokensOf(edge).at(-1)).toBe('other');
  });

  test('[RJ20] what was kept goes before asking for a token, and a ticket that is over is forgotten', async () => {
    const { edge, refused } = edgeWithTickets();
    const rejoin = new Kept();
    rejoin.ticket = { token: 'kept', key: await createSessionKey() };
    let asked = 0;
    const getToken = (): Promise<string> => {
      asked += 1;
      return Promise.resolve('given');
    };
    await meet(edge, { rejoin, getToken }).join();
    expect([tokensOf(edge), asked]).toEqual([['kept'], 0]);
    refused.set('rejoin-1', 'token_expired');
    await meet(edge, { rejoin, getToken }).join();
    expect([tokensOf(edge), asked]).toEqual([['kept', 'rejoin-1', 'given'], 1]);
    const [, , last] = edge.requests('join');
    expect(last?.proof).toBeUndefined();
    expect(rejoin.ticket.token).toBe('rejoin-2');
  });

  test('[RJ22] whose access was taken away is told so, and nothing else is tried', async () => {
    const { edge, refused } = edgeWithTickets();
    let asked = 0;
    const getToken = (): Promise<string> => Promise.resolve(`given-${(asked += 1)}`);
    const meeting = meet(edge, { getToken });
    await meeting.join();
    refused.set('rejoin-1', 'access_revoked');
    await meeting.leave();
    await expect(meeting.join()).rejects.toMatchObject({ code: 'access_revoked' });
    expect(tokensOf(edge)).toEqual(['given-1', 'rejoin-1']);
  });

  test('[RJ14] [RJ20] a guest asks again instead, and nothing of theirs is kept', async () => {
    const { edge } = edgeWithTickets();
    const rejoin = new Kept();
    let asked = 0;
    const meeting = meet(edge, {
      rejoin,
      getToken: () => Promise.resolve({ token: `guest-${(asked += 1)}`, canRejoin: false }),
    });
    await meeting.join();
    expect(rejoin.ticket).toBeUndefined();
    await meeting.leave();
    await meeting.join();
    expect(tokensOf(edge)).toEqual(['guest-1', 'guest-2']);
  });

  test('[RJ18] nobody becomes a guest by a store that does not answer: the next try comes back as who one was', async () => {
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
    // Or as a guest, by the person's own word.
    rejoin.isReadable = false;
    const other = meet(edge, { rejoin, getToken });
    await expect(other.join()).rejects.toMatchObject(unread);
    other.joinAsNew();
    await other.join();
    expect(tokensOf(edge)).toEqual(['kept', 'guest']);
  });

  test('[RJ19] where guests are off, a store that does not answer is told as what it is', async () => {
    const rejoin = new Kept();
    rejoin.isReadable = false;
    const getToken = (): Promise<string> => Promise.reject(new PlenaryError('guests_not_allowed'));
    const meeting = meet(new ScriptedEdge(), { rejoin, getToken });
    await expect(meeting.join()).rejects.toMatchObject({ detail: { reason: 'kept_unreadable' } });
  });

  test('[RJ12] an application that says who one is lets one in whatever the store does', async () => {
    const { edge } = edgeWithTickets();
    const rejoin = new Kept();
    rejoin.isReadable = false;
    await meet(edge, { rejoin, getToken: () => Promise.resolve('given') }).join();
    await meet(edge, { rejoin, token: 'invitation' }).join();
    expect(tokensOf(edge)).toEqual(['given', 'invitation']);
  });

  test('[HL48] an edge with a wrong clock costs nobody their ticket: the other edges are asked', async () => {
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

  test('[RJ23] without any of them the refusal of the token is what is told', async () => {
    const { edge, refused } = edgeWithTickets();
    refused.set('token', 'token_expired');
    await expect(meet(edge, { rejoin: new Kept() }).join()).rejects.toMatchObject({ code: 'token_expired' });
    expect(tokensOf(edge)).toEqual(['token']);
  });
});
