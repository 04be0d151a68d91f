import { PlenaryError } from '@plenary/cluster';
import type { KeyRing } from '@plenary/cluster';
import { isMacOf, MAC_BYTES, macOf } from '../mac.ts';

const VERSION = 1;
/** Length of a secret's id. */
const KEY_ID_BYTES = 6;
const HEAD_BYTES = 1 + KEY_ID_BYTES;

/**
 * Proves that an edge of this cluster made a publication, for this channel (SPEC NS5): others who can write to Redis
 * know no key. The seal precedes the publication: a version, the id of the secret, and the MAC. Others can only repeat a publication
 * of an edge, on the same channel.
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
   * @returns the sealed payload
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
