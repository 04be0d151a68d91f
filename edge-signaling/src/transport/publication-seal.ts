import { PlenaryError } from '@plenary/cluster';
import type { KeyRing } from '@plenary/cluster';
import { isMacOf, MAC_BYTES, macOf } from '../mac.ts';

const VERSION = 1;
/** Of the name of a secret. */
const KEY_ID_BYTES = 6;
const HEAD_BYTES = 1 + KEY_ID_BYTES;

/**
 * Proves that a publication was made by an edge of this cluster, for this channel (SPEC NS5): whoever else can write to Redis
 * knows no key. It comes before the publication: version, which secret, and the proof. What an edge published can be
 * published again by others, on the same channel, and nothing else.
 */
export class PublicationSeal {
  readonly #keys: KeyRing;

  constructor(keys: KeyRing) {
    this.#keys = keys;
  }

  seal(channel: string, payload: string | Buffer): Buffer {
    const { id, key } = this.#keys.current;
    const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
    const head = Buffer.alloc(HEAD_BYTES, VERSION);
    Buffer.from(id, 'base64url').copy(head, 1);
    return Buffer.concat([head, macOf(key, channel, body), body]);
  }

  /**
   * @returns what was sealed
   * @throws PlenaryError `unauthorised`
   */
  open(channel: Buffer, message: Buffer): Buffer {
    const key =
      message[0] === VERSION
        ? this.#keys.find(message.subarray(1, HEAD_BYTES).toString('base64url'))
        : undefined;
    const mac = message.subarray(HEAD_BYTES, HEAD_BYTES + MAC_BYTES);
    const body = message.subarray(HEAD_BYTES + MAC_BYTES);
    // No channel holds a NUL.
    if (key === undefined || !isMacOf(mac, key, channel, body)) {
      throw new PlenaryError('unauthorised', 'No edge with a secret of this cluster published it here.');
    }
    return body;
  }
}
