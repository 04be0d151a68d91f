import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { PlenaryError } from '../errors.ts';

const CIPHER = 'aes-256-gcm';
const TAG_BYTES = 16;

/** Each message has its own nonce, its position in the stream: a nonce is never used twice, and a message cannot be repeated. */
function nonceOf(counter: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(BigInt(counter), 4);
  return nonce;
}

/**
 * Encrypts the messages of one control link with the keys of this one connection: nobody on the path can read,
 * change, drop, repeat or reorder one without ending the link (SPEC CL10, CL27).
 */
export class SealedStream {
  readonly #sendKey: KeyObject;
  readonly #receiveKey: KeyObject;
  #sent = 0;
  #received = 0;

  constructor(keys: { readonly send: KeyObject; readonly receive: KeyObject }) {
    this.#sendKey = keys.send;
    this.#receiveKey = keys.receive;
  }

  /** Encrypts a message; messages must be sent in the order of the calls. */
  seal(text: string): string {
    const cipher = createCipheriv(CIPHER, this.#sendKey, nonceOf(this.#sent), { authTagLength: TAG_BYTES });
    this.#sent += 1;
    return Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
      'base64url',
    );
  }

  /** @throws PlenaryError `unauthorised` for anything but the other side's next message */
  open(sealed: string): string {
    const bytes = Buffer.from(sealed, 'base64url');
    const end = bytes.length - TAG_BYTES;
    try {
      const decipher = createDecipheriv(CIPHER, this.#receiveKey, nonceOf(this.#received), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAuthTag(bytes.subarray(end));
      const text = decipher.update(bytes.subarray(0, end), undefined, 'utf8') + decipher.final('utf8');
      this.#received += 1;
      return text;
    } catch (cause) {
      throw new PlenaryError('unauthorised', 'A message was changed, lost or repeated on the way.', {
        cause,
      });
    }
  }
}
