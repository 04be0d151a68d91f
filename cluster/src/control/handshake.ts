/**
 * How both ends of a control link prove their identity to each other (SPEC CL1, CL9, CL25). The three messages follow
 * SIGMA (Krawczyk 2003). Each side gives a fresh X25519 key, and signs both sides' statements with the key that an
 * authority of the cluster certifies for its kind and id. The agreed keys encrypt every later message. The handshake
 * uses no clocks: the fresh keys make an old proof worthless.
 */
import {
  createHash,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { PlenaryError } from '../errors.ts';
import {
  AUTHORITY_ID,
  CERTIFICATE,
  certifies,
  CURVE_KEY,
  isSignedBy,
  SIGNATURE,
  signWith,
} from '../keys/control-credential.ts';
import type { Certificate, ControlIdentity, Credential, LinkEnd } from '../keys/control-credential.ts';
import { CONTROL_CALLER, CONTROL_VERSION } from '../protocol/edge-media.ts';
import type { ControlCaller } from '../protocol/edge-media.ts';
import { MEDIA_NODE_ID } from '../protocol/ids.ts';
import type { MediaNodeId } from '../protocol/ids.ts';
import { describeIssues } from '../rpc/route.ts';
import { RefusedLink } from './link-refusal.ts';
import { SealedStream } from './sealed-stream.ts';

/**
 * The caller's first message: its claimed identity, the node that it means, the authorities that it trusts, and its
 * fresh key.
 */
export const LINK_OPENING = z.object({
  controlVersion: z.int().min(1).max(1_000_000),
  ...CONTROL_CALLER.shape,
  mediaNodeId: MEDIA_NODE_ID,
  authorities: z.array(AUTHORITY_ID).min(1).max(4),
  share: CURVE_KEY,
});
export type LinkOpening = z.infer<typeof LINK_OPENING>;

/** The node's answer: the authority that both use, the node's fresh key, and its proof. */
export const LINK_CHALLENGE = z.object({
  authority: AUTHORITY_ID,
  share: CURVE_KEY,
  certificate: CERTIFICATE,
  signature: SIGNATURE,
});
export type LinkChallenge = z.infer<typeof LINK_CHALLENGE>;

/** The caller's proof. */
export const LINK_PROOF = z.object({ certificate: CERTIFICATE, signature: SIGNATURE });
export type LinkProof = z.infer<typeof LINK_PROOF>;

/** A fresh pair of keys for one connection. */
class FreshKey {
  readonly share: string;
  readonly #privateKey: KeyObject;

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('x25519');
    this.#privateKey = privateKey;
    this.share = CURVE_KEY.parse(publicKey.export({ format: 'jwk' }).x);
  }

  /** @throws Error for a key that would give everybody the same secret */
  agreeWith(share: string): Buffer {
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: share }, format: 'jwk' });
    return diffieHellman({ privateKey: this.#privateKey, publicKey });
  }
}

/**
 * All statements that the proofs cover. It is built of arrays, so that two different sets of values never give the
 * same text.
 */
function transcriptOf(opening: LinkOpening, challenge: Omit<LinkChallenge, 'signature'>): string {
  return JSON.stringify([
    'plenary control link 1',
    opening.controlVersion,
    [opening.kind, opening.id, opening.incarnation],
    opening.mediaNodeId,
    opening.authorities,
    opening.share,
    challenge.authority,
    challenge.share,
    challenge.certificate.publicKey,
  ]);
}

const nodeProves = (transcript: string): string => `node ${transcript}`;
const callerProves = (transcript: string): string => `caller ${transcript}`;

function streamKeys(secret: Buffer, transcript: string): Record<'toNode' | 'toCaller', KeyObject> {
  const salt = createHash('sha256').update(transcript).digest();
  const derive = (direction: string): KeyObject =>
    createSecretKey(Buffer.from(hkdfSync('sha256', secret, salt, direction, 32)));
  return { toNode: derive('caller to node'), toCaller: derive('node to caller') };
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new PlenaryError('malformed_message', describeIssues(parsed.error));
  return parsed.data;
}

function credentialFor(identity: ControlIdentity, authorityId: string): Credential | undefined {
  return identity.credentials.find((credential) => credential.authorityId === authorityId);
}

/** @throws PlenaryError `unauthorised` if the identity is not proved */
function checkProof(
  identity: ControlIdentity,
  authorityId: string,
  end: LinkEnd,
  proof: { readonly certificate: Certificate; readonly signature: string; readonly text: string },
): void {
  const authority = identity.authorities.get(authorityId);
  if (authority === undefined || !certifies(authority, end, proof.certificate)) {
    throw new PlenaryError('unauthorised', `It has no key of ${end.kind} ${end.id} in this cluster.`);
  }
  if (!isSignedBy(proof.certificate, proof.text, proof.signature)) {
    throw new PlenaryError('unauthorised', `It does not prove to be ${end.kind} ${end.id}.`);
  }
}

/** The caller's side of one connection. */
export class CallerHandshake {
  /** The first message. */
  readonly opening: LinkOpening;
  readonly #identity: ControlIdentity;
  readonly #fresh = new FreshKey();

  constructor(identity: ControlIdentity, caller: ControlCaller, mediaNodeId: MediaNodeId) {
    this.#identity = identity;
    this.opening = {
      controlVersion: CONTROL_VERSION,
      ...caller,
      mediaNodeId,
      authorities: identity.credentials.map(({ authorityId }) => authorityId),
      share: this.#fresh.share,
    };
  }

  /**
   * Checks that the other side is the intended media node.
   * @throws PlenaryError `malformed_message`, `unauthorised`
   */
  answer(received: unknown): { readonly proof: LinkProof; readonly stream: SealedStream } {
    const challenge = parse(LINK_CHALLENGE, received);
    const credential = credentialFor(this.#identity, challenge.authority);
    if (credential === undefined) throw new PlenaryError('unauthorised', 'It answers for another cluster.');
    const transcript = transcriptOf(this.opening, challenge);
    checkProof(
      this.#identity,
      challenge.authority,
      { kind: 'media-node', id: this.opening.mediaNodeId },
      { ...challenge, text: nodeProves(transcript) },
    );
    const keys = streamKeys(agree(this.#fresh, challenge.share), transcript);
    return {
      proof: {
        certificate: credential.certificate,
        signature: signWith(credential, callerProves(transcript)),
      },
      stream: new SealedStream({ send: keys.toNode, receive: keys.toCaller }),
    };
  }
}

/** The media node's side of one connection. */
export class NodeHandshake {
  /** The caller's claimed identity: it is proved once {@link accept} returns. */
  readonly caller: ControlCaller;
  /** The message that answers the opening. */
  readonly challenge: LinkChallenge;
  readonly #identity: ControlIdentity;
  readonly #fresh = new FreshKey();
  readonly #share: string;
  readonly #transcript: string;

  /** @throws PlenaryError `malformed_message`, `unauthorised` */
  constructor(identity: ControlIdentity, received: unknown) {
    const opening = parse(LINK_OPENING, received);
    const { kind, id, incarnation, mediaNodeId, controlVersion, authorities } = opening;
    if (controlVersion !== CONTROL_VERSION) {
      const versions = `control version ${controlVersion}, this node ${CONTROL_VERSION}`;
      throw new RefusedLink('other_version', `${kind} ${id} speaks ${versions}.`);
    }
    if (mediaNodeId !== identity.id) {
      throw new RefusedLink('other_node', `This is ${identity.id}, not ${mediaNodeId}.`);
    }
    const credential = identity.credentials.find(({ authorityId }) => authorities.includes(authorityId));
    if (credential === undefined) {
      throw new RefusedLink('other_secret', `${kind} ${id} and ${identity.id} have different secrets.`);
    }
    this.#identity = identity;
    this.caller = { kind, id, incarnation };
    this.#share = opening.share;
    const { authorityId: authority, certificate } = credential;
    const unsigned = { authority, share: this.#fresh.share, certificate };
    this.#transcript = transcriptOf(opening, unsigned);
    this.challenge = { ...unsigned, signature: signWith(credential, nodeProves(this.#transcript)) };
  }

  /**
   * Checks the caller's identity.
   * @throws PlenaryError `malformed_message`, `unauthorised`
   */
  accept(received: unknown): SealedStream {
    const proof = parse(LINK_PROOF, received);
    checkProof(this.#identity, this.challenge.authority, this.caller, {
      ...proof,
      text: callerProves(this.#transcript),
    });
    const keys = streamKeys(agree(this.#fresh, this.#share), this.#transcript);
    return new SealedStream({ send: keys.toCaller, receive: keys.toNode });
  }
}

/** @throws PlenaryError `malformed_message` */
function agree(fresh: FreshKey, share: string): Buffer {
  try {
    return fresh.agreeWith(share);
  } catch (cause) {
    throw new PlenaryError('malformed_message', 'share: is not a public key', { cause });
  }
}
