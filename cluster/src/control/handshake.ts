/**
 * How both ends of a control link prove to each other who they are (SPEC CL1, CL9, CL25). Three messages, after SIGMA
 * (Krawczyk 2003): each side gives a fresh key of X25519, and signs what both said with the key that an authority of the
 * cluster certifies for its kind and id. What they agree on seals every later message. There are no clocks in it: both
 * fresh keys are what makes a proof of yesterday worthless.
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

/** The caller's first message: who it says it is, whom it means, whom it believes, and its fresh key. */
export const LINK_OPENING = z.object({
  controlVersion: z.int().min(1).max(1_000_000),
  ...CONTROL_CALLER.shape,
  mediaNodeId: MEDIA_NODE_ID,
  authorities: z.array(AUTHORITY_ID).min(1).max(4),
  share: CURVE_KEY,
});
export type LinkOpening = z.infer<typeof LINK_OPENING>;

/** The node's answer: under which authority both prove themselves, its fresh key, and its proof. */
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

/** A pair of keys for one connection. */
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

/** Everything that was said and is proved. Arrays, so that no choice of values reads like another one. */
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

/** @throws PlenaryError `unauthorised` when this is not proved to be who it says */
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

/** The caller's part, for one connection. */
export class CallerHandshake {
  /** To be sent first. */
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
   * Checks that the other side is the media node that was meant.
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

/** The media node's part, for one connection. */
export class NodeHandshake {
  /** Who the other side says it is: to be believed when {@link accept} returns. */
  readonly caller: ControlCaller;
  /** To be sent. */
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
   * Checks that the caller is who it says.
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
    throw new PlenaryError('malformed_message', 'share: is no key', { cause });
  }
}
