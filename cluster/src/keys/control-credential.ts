import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { patternText } from '../protocol/text.ts';
import type { ControlCaller } from '../protocol/edge-media.ts';
import { MEDIA_NODE_ID } from '../protocol/ids.ts';
import type { MediaNodeId } from '../protocol/ids.ts';
import { deriveBytes } from './derive.ts';
import type { Secrets } from './derive.ts';

/** The identity of a process on control links. */
export type LinkEnd = Pick<ControlCaller, 'kind' | 'id'>;

/** 32 bytes as base64url: a key of Curve25519. */
export const CURVE_KEY = patternText(/^[A-Za-z0-9_-]{43}$/, 43, 'must be 32 bytes in base64url');
/** 64 bytes as base64url. */
export const SIGNATURE = patternText(/^[A-Za-z0-9_-]{86}$/, 86, 'must be 64 bytes in base64url');
/** Names an authority: the first bytes of its key's digest. */
export const AUTHORITY_ID = patternText(/^[A-Za-z0-9_-]{16}$/, 16, 'must be 12 bytes in base64url');

/** Certifies the owner of a key, by the signature of an authority. */
export const CERTIFICATE = z.object({ publicKey: CURVE_KEY, signature: SIGNATURE });
export type Certificate = z.infer<typeof CERTIFICATE>;

/** A process' proof of its identity for those that trust one authority. */
export interface Credential {
  readonly authorityId: string;
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

/** The identity of a process on control links, and the authorities that it trusts (SPEC KY1, KY3). */
export interface ControlIdentity extends LinkEnd {
  /** One for each trusted authority, the preferred one first. */
  readonly credentials: readonly Credential[];
  readonly authorities: ReadonlyMap<string, KeyObject>;
}

/** The DER prefix of an Ed25519 private key (RFC 8410), before its 32 bytes. */
const PRIVATE_KEY_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

function privateKeyOf(seed: Buffer): KeyObject {
  return createPrivateKey({
    key: Buffer.concat([PRIVATE_KEY_PREFIX, seed]),
    format: 'der',
    type: 'pkcs8',
  });
}

function publicKeyOf(x: string): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

function textOf(key: KeyObject): string {
  return CURVE_KEY.parse(createPublicKey(key).export({ format: 'jwk' }).x);
}

function authorityIdOf(publicKey: string): string {
  return createHash('sha256').update(publicKey).digest().subarray(0, 12).toString('base64url');
}

/** Contains kind and id, so that the certificate of one process proves no other. */
function certificateText({ kind, id }: LinkEnd, publicKey: string): Buffer {
  return Buffer.from(JSON.stringify(['plenary control certificate 1', kind, id, publicKey]));
}

/** Whether an authority certifies that this key belongs to that process. */
export function certifies(authority: KeyObject, end: LinkEnd, certificate: Certificate): boolean {
  const text = certificateText(end, certificate.publicKey);
  return verify(null, text, authority, Buffer.from(certificate.signature, 'base64url'));
}

export function signWith(credential: Credential, text: string): string {
  return sign(null, Buffer.from(text), credential.privateKey).toString('base64url');
}

/** Whether a text is signed by the key of a certificate; the certificate itself must be checked separately. */
export function isSignedBy({ publicKey }: Certificate, text: string, signature: string): boolean {
  return verify(null, Buffer.from(text), publicKeyOf(publicKey), Buffer.from(signature, 'base64url'));
}

interface Issued {
  readonly seed: Buffer;
  readonly authority: string;
  readonly certificate: Certificate;
}

/** Derives the key of a process, and certifies it. */
function issue(secret: string, end: LinkEnd): Issued {
  const authority = privateKeyOf(deriveBytes(secret, 'control-authority'));
  const seed = deriveBytes(secret, `control:${end.kind}:${end.id}`);
  const publicKey = textOf(privateKeyOf(seed));
  const signature = sign(null, certificateText(end, publicKey), authority).toString('base64url');
  return { seed, authority: textOf(authority), certificate: { publicKey, signature } };
}

function identityOf(end: LinkEnd, issued: readonly Issued[]): ControlIdentity {
  const named = issued.map((one) => ({ ...one, authorityId: authorityIdOf(one.authority) }));
  return {
    ...end,
    credentials: named.map(({ authorityId, certificate, seed }) => ({
      authorityId,
      certificate,
      privateKey: privateKeyOf(seed),
    })),
    authorities: new Map(
      named.map(({ authorityId, authority }) => [authorityId, publicKeyOf(authority)] as const),
    ),
  };
}

/** The identity of a process with the cluster's secret. */
export function identityOfSecrets(secrets: Secrets, { kind, id }: LinkEnd): ControlIdentity {
  return identityOf(
    { kind, id },
    secrets.map((secret) => issue(secret, { kind, id })),
  );
}

/** The key of one media node; it reveals neither the cluster's secret nor the key of another process (SPEC KY3). */
export interface NodeKey extends Issued {
  readonly mediaNodeId: MediaNodeId;
}

const NODE_KEY_VERSION = 'pnk1';

/** The key of a media node as text, for its `PLENARY_NODE_KEY`. */
export function nodeKeyText(secret: string, mediaNodeId: MediaNodeId): string {
  const { seed, authority, certificate } = issue(secret, { kind: 'media-node', id: mediaNodeId });
  const parts = [NODE_KEY_VERSION, mediaNodeId, seed.toString('base64url'), authority, certificate.signature];
  return parts.join('.');
}

const NODE_KEY_PARTS = z.tuple([z.literal(NODE_KEY_VERSION), MEDIA_NODE_ID, CURVE_KEY, CURVE_KEY, SIGNATURE]);

/** @returns `undefined` if the text is no node key, or was changed */
export function parseNodeKey(text: string): NodeKey | undefined {
  const parts = NODE_KEY_PARTS.safeParse(text.split('.'));
  if (!parts.success) return undefined;
  const [, mediaNodeId, seedText, authority, signature] = parts.data;
  const seed = Buffer.from(seedText, 'base64url');
  const certificate = { publicKey: textOf(privateKeyOf(seed)), signature };
  const isWhole = certifies(publicKeyOf(authority), { kind: 'media-node', id: mediaNodeId }, certificate);
  return isWhole ? { mediaNodeId, seed, authority, certificate } : undefined;
}

/** One key of a media node, or several of different cluster secrets joined by commas. */
export const nodeKeysSetting = z.string().transform((text, context): readonly NodeKey[] => {
  const keys = text.split(',').map((part) => parseNodeKey(part.trim()));
  const whole = keys.filter((key) => key !== undefined);
  // The text itself must not be printed.
  if (whole.length < keys.length || whole.length > 4) {
    context.addIssue('is not what `plenaryctl node-key` prints, or was changed');
  }
  return whole;
});

/** The identity of a media node with its own keys. */
export function identityOfNodeKeys(mediaNodeId: MediaNodeId, keys: readonly NodeKey[]): ControlIdentity {
  return identityOf({ kind: 'media-node', id: mediaNodeId }, keys);
}
