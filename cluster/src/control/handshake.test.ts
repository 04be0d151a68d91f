import { describe, expect, it, vi } from 'vitest';
import { mintIncarnation } from '../ids.ts';
import {
  identityOfNodeKeys,
  identityOfSecrets,
  nodeKeyText,
  parseNodeKey,
} from '../keys/control-credential.ts';
import type { ControlIdentity } from '../keys/control-credential.ts';
import { secretsIn } from '../keys/derive.ts';
import type { Secrets } from '../keys/derive.ts';
import { NAMESPACE } from '../namespace.ts';
import { mediaNode } from '../testing/samples.ts';
import { CallerHandshake, NodeHandshake } from './handshake.ts';
import { readRefusal, refusalToCaller } from './link-refusal.ts';
import type { SealedStream } from './sealed-stream.ts';

const OLD = 'the-secret-of-before-with-thirty-two-characters';
const NEW = 'the-secret-of-tomorrow-with-thirty-two-characters';
const NODE = mediaNode('node-a');
const incarnation = mintIncarnation();
const edgeCaller = { kind: 'edge', id: 'edge-a', incarnation } as const;

const edgeOf = (...secrets: Secrets): ControlIdentity => identityOfSecrets(secrets, edgeCaller);
const nodeOf = (...secrets: Secrets): ControlIdentity =>
  identityOfSecrets(secrets, { kind: 'media-node', id: NODE });

function keyed(...secrets: readonly string[]): ControlIdentity {
  const keys = secrets.map((secret) => parseNodeKey(nodeKeyText(secret, NODE)));
  return identityOfNodeKeys(
    NODE,
    keys.filter((key) => key !== undefined),
  );
}

interface Ends {
  readonly caller: SealedStream;
  readonly node: SealedStream;
}

function link(edge: ControlIdentity, node: ControlIdentity): Ends {
  const ours = new CallerHandshake(edge, edgeCaller, NODE);
  const theirs = new NodeHandshake(node, ours.opening);
  const { proof, stream } = ours.answer(theirs.challenge);
  return { caller: stream, node: theirs.accept(proof) };
}

describe('the handshake of a control link', () => {
  it('[CL1] proves both ends to each other', () => {
    const ours = new CallerHandshake(edgeOf(OLD), edgeCaller, NODE);
    const theirs = new NodeHandshake(nodeOf(OLD), ours.opening);
    expect(theirs.caller).toEqual(edgeCaller);
    const { caller, node } = link(edgeOf(OLD), nodeOf(OLD));
    expect(node.open(caller.seal('a question'))).toBe('a question');
    expect(caller.open(node.seal('an answer'))).toBe('an answer');
  });

  it('[HL21] a node tells the caller why it refuses, and the caller believes an older node’s refusal too', () => {
    const { opening } = new CallerHandshake(edgeOf(OLD), edgeCaller, NODE);
    const heard = (changes: object, node = nodeOf(OLD)): string => {
      try {
        new NodeHandshake(node, { ...opening, ...changes });
      } catch (thrown) {
        return readRefusal(refusalToCaller(thrown));
      }
      return 'none';
    };
    expect(heard({})).toBe('none');
    expect(heard({}, nodeOf(NEW))).toBe('other_secret');
    expect(heard({ mediaNodeId: 'node-b' })).toBe('other_node');
    expect(heard({ controlVersion: 999 })).toBe('other_version');
    expect(heard({ share: 1 })).toBe('other_version');
    for (const refusal of [new Error('no'), { data: { refusal: 'because' } }, undefined])
      expect(readRefusal(refusal)).toBe('other_secret');
  });

  it('[CL17] fails if the secrets differ, and says so', () => {
    expect(() => link(edgeOf(NEW), nodeOf(OLD))).toThrow('edge edge-a and node-a have different secrets');
  });

  it('[NS3] fails between clusters of two namespaces with the same secret', () => {
    const [one, two] = [NAMESPACE.parse('one'), NAMESPACE.parse('two')];
    const edge = edgeOf(...secretsIn(one, [OLD]));
    expect(() => link(edge, nodeOf(...secretsIn(two, [OLD])))).toThrow('different secrets');
    expect(() => link(edge, keyed(...secretsIn(two, [OLD])))).toThrow('different secrets');
    link(edge, nodeOf(...secretsIn(one, [OLD])));
  });

  it('[CL24] succeeds whatever the clocks of both ends say', () => {
    const ours = new CallerHandshake(edgeOf(OLD), edgeCaller, NODE);
    const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 3_600_000);
    try {
      const theirs = new NodeHandshake(nodeOf(OLD), ours.opening);
      clock.mockReturnValue(0);
      theirs.accept(ours.answer(theirs.challenge).proof);
    } finally {
      clock.mockRestore();
    }
  });

  it('[CL9] messages of one connection prove nothing on another', () => {
    const ours = new CallerHandshake(edgeOf(OLD), edgeCaller, NODE);
    const first = new NodeHandshake(nodeOf(OLD), ours.opening);
    const { proof } = ours.answer(first.challenge);
    const again = new NodeHandshake(nodeOf(OLD), ours.opening);
    expect(() => again.accept(proof)).toThrow('does not prove to be edge edge-a');
    const next = new CallerHandshake(edgeOf(OLD), edgeCaller, NODE);
    expect(() => next.answer(first.challenge)).toThrow('does not prove to be media-node node-a');
  });

  it('[CL25] an attacker in the middle cannot replace a key by their own', () => {
    const ours = new CallerHandshake(edgeOf(OLD), edgeCaller, NODE);
    const theirs = new CallerHandshake(edgeOf(NEW), edgeCaller, NODE).opening.share;
    const node = new NodeHandshake(nodeOf(OLD), { ...ours.opening, share: theirs });
    expect(() => ours.answer(node.challenge)).toThrow('does not prove');
    const honest = new NodeHandshake(nodeOf(OLD), ours.opening);
    const again = new CallerHandshake(edgeOf(OLD), edgeCaller, NODE);
    expect(() => again.answer({ ...honest.challenge, share: theirs })).toThrow('does not prove');
  });

  it('[CL1] an end that claims another identity is refused', () => {
    const elsewhere = new CallerHandshake(edgeOf(OLD), edgeCaller, mediaNode('node-b'));
    expect(() => new NodeHandshake(nodeOf(OLD), elsewhere.opening)).toThrow('This is node-a, not node-b');
    // Another node of the same cluster answers in its place.
    const meant = new CallerHandshake(edgeOf(OLD), edgeCaller, NODE);
    const other = identityOfSecrets([OLD], { kind: 'media-node', id: 'node-b' });
    const impostor = new NodeHandshake({ ...other, id: NODE }, meant.opening);
    expect(() => meant.answer(impostor.challenge)).toThrow('no key of media-node node-a');
  });

  it('[KY3] a media node’s own key proves only this node, no edge and no other node', () => {
    const { caller, node } = link(edgeOf(OLD), keyed(OLD));
    expect(node.open(caller.seal('x'))).toBe('x');
    for (const claimed of [edgeCaller, { kind: 'media-node', id: 'node-b', incarnation } as const]) {
      const liar = new CallerHandshake(keyed(OLD), claimed, mediaNode('node-c'));
      const third = new NodeHandshake(
        identityOfSecrets([OLD], { kind: 'media-node', id: 'node-c' }),
        liar.opening,
      );
      const { proof } = liar.answer(third.challenge);
      expect(() => third.accept(proof)).toThrow(`It has no key of ${claimed.kind} ${claimed.id}`);
    }
    const honest = new CallerHandshake(
      keyed(OLD),
      { kind: 'media-node', id: NODE, incarnation },
      mediaNode('node-c'),
    );
    const third = identityOfSecrets([OLD], { kind: 'media-node', id: 'node-c' });
    const accepting = new NodeHandshake(third, honest.opening);
    accepting.accept(honest.answer(accepting.challenge).proof);
  });

  it('[KY3] the key of a media node contains no secret of the cluster, and is refused if it was changed', () => {
    const text = nodeKeyText(OLD, NODE);
    expect(text).not.toContain(OLD);
    expect(parseNodeKey(text)?.mediaNodeId).toBe(NODE);
    const [version = '', , ...rest] = text.split('.');
    const seedOfOther = nodeKeyText(OLD, mediaNode('node-b')).split('.')[2] ?? '';
    for (const changed of [
      [version, 'node-b', ...rest].join('.'),
      [version, NODE, seedOfOther, ...rest.slice(1)].join('.'),
      text.slice(0, -1),
      `${text}x`,
      '',
    ])
      expect(parseNodeKey(changed), changed).toBeUndefined();
  });

  it('[KY2] links open at each stage of changing the secret', () => {
    const stages: readonly Secrets[] = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]];
    for (const [index, stage] of stages.entries()) {
      for (const neighbour of stages.slice(Math.max(0, index - 1), index + 2)) {
        for (const node of [nodeOf(...neighbour), keyed(...neighbour)]) {
          const ends = link(edgeOf(...stage), node);
          expect(ends.node.open(ends.caller.seal('x'))).toBe('x');
        }
      }
    }
  });

  it('[CL4] garbage is refused with a reason', () => {
    const { opening } = new CallerHandshake(edgeOf(OLD), edgeCaller, NODE);
    const zeros = 'A'.repeat(43);
    for (const garbage of [
      undefined,
      null,
      'x',
      {},
      { ...opening, id: 'a/b' },
      { ...opening, authorities: [] },
    ])
      expect(() => new NodeHandshake(nodeOf(OLD), garbage)).toThrow('does not fit its schema');
    expect(() => new NodeHandshake(nodeOf(OLD), { ...opening, controlVersion: 1 })).toThrow(
      'control version 1',
    );
    const node = new NodeHandshake(nodeOf(OLD), opening);
    for (const garbage of [undefined, {}, { certificate: {}, signature: zeros }])
      expect(() => node.accept(garbage)).toThrow('does not fit its schema');
  });

  it('[CL25] a key that would give everybody the same secret is refused', () => {
    const ours = new CallerHandshake(edgeOf(OLD), edgeCaller, NODE);
    const zero = 'A'.repeat(43);
    const opening = { ...ours.opening, share: zero };
    const cheat = new CallerHandshake(edgeOf(OLD), edgeCaller, NODE);
    Object.assign(cheat.opening, { share: zero });
    const node = new NodeHandshake(nodeOf(OLD), opening);
    const { proof } = cheat.answer(node.challenge);
    expect(() => node.accept(proof)).toThrow();
  });
});

describe('a sealed message', () => {
  it('[CL27] is decrypted once, unchanged, and in order', () => {
    const ends = (): Ends => link(edgeOf(OLD), nodeOf(OLD));
    const [one, two] = [ends(), ends()];
    const first = one.caller.seal('first');
    const second = one.caller.seal('second');
    // Wrong messages: skipped, of another link, sent back, cut, changed, and empty.
    const bit = Buffer.from(first, 'base64url');
    bit.writeUInt8(bit.readUInt8(0) ^ 1, 0);
    for (const wrong of [
      second,
      two.caller.seal('first'),
      one.node.seal('first'),
      first.slice(0, -4),
      bit.toString('base64url'),
      '',
    ])
      expect(() => one.node.open(wrong)).toThrow('changed, lost or repeated');
    expect(one.node.open(first)).toBe('first');
    expect(() => one.node.open(first)).toThrow('changed, lost or repeated');
    expect(one.node.open(second)).toBe('second');
  });

  it('[CL10] hides its content', () => {
    const { caller } = link(edgeOf(OLD), nodeOf(OLD));
    const sealed = Buffer.from(caller.seal('a very private matter'), 'base64url').toString('latin1');
    expect(sealed).not.toContain('private');
  });
});
