/** Another application with its own keys: the second tenant of the attacked cluster. */
import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MEETING_ROOM } from './meeting-room.ts';

const KEY_ID = 'rival-1';
const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A join token for the application's own room with the meeting's name, signed with its Ed25519 key. */
export function signedBy(
  privateKey: KeyObject,
  { apiKey, kid }: { readonly apiKey: string; readonly kid: string },
  subject: string,
): string {
  const iat = Math.floor(Date.now() / 1_000);
  const claims = { sub: subject, room: MEETING_ROOM, role: 'host', publish: ['microphone', 'camera'] };
  const of = { iss: apiKey, aud: 'plenary-join', iat, exp: iat + 600 };
  const text = `${base64({ alg: 'EdDSA', typ: 'JWT', kid })}.${base64({ ...claims, ...of })}`;
  return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`;
}

export class Rival {
  static readonly apiKey = 'rival';
  readonly #folder = mkdtempSync(join(tmpdir(), 'plenary-rival-'));
  readonly #keys = generateKeyPairSync('ed25519');
  readonly keySetPath = join(this.#folder, 'jwks.json');

  constructor() {
    const key = { ...this.#keys.publicKey.export({ format: 'jwk' }), kid: KEY_ID };
    writeFileSync(this.keySetPath, JSON.stringify({ keys: [key] }));
  }

  /** A join token for its own room, which has the meeting's name. */
  token(subject: string, kid = KEY_ID): string {
    return signedBy(this.#keys.privateKey, { apiKey: Rival.apiKey, kid }, subject);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
