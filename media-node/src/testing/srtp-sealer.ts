import { createCipheriv } from 'node:crypto';

/** The profile that {@link SrtpSealer} seals by, as `openssl` names it. */
export const SEALED_BY = 'SRTP_AEAD_AES_128_GCM';
const KEY_BYTES = 16;
const SALT_BYTES = 12;
/** A key and a salt for each side. */
export const KEYING_BYTES = 2 * (KEY_BYTES + SALT_BYTES);

/** Seals the packets of a DTLS client (RFC 7714). */
export class SrtpSealer {
  readonly #masterKey: Buffer;
  readonly #masterSalt: Buffer;
  #rtcpIndex = 0;

  /** @param keyingMaterial - exported from DTLS (RFC 5764, 4.2) */
  constructor(keyingMaterial: Buffer) {
    this.#masterKey = keyingMaterial.subarray(0, KEY_BYTES);
    this.#masterSalt = keyingMaterial.subarray(2 * KEY_BYTES, 2 * KEY_BYTES + SALT_BYTES);
  }

  /** @param packet - with a header of 12 bytes, before its sequence numbers begin anew */
  rtp(packet: Buffer): Buffer {
    const header = packet.subarray(0, 12);
    const iv = Buffer.alloc(12);
    packet.copy(iv, 2, 8, 12);
    packet.copy(iv, 10, 2, 4);
    return Buffer.concat([header, this.#seal(0, iv, header, packet.subarray(12))]);
  }

  rtcp(packet: Buffer): Buffer {
    this.#rtcpIndex += 1;
    const header = packet.subarray(0, 8);
    const trailer = Buffer.alloc(4);
    trailer.writeUInt32BE((0x8000_0000 | this.#rtcpIndex) >>> 0);
    const iv = Buffer.alloc(12);
    packet.copy(iv, 2, 4, 8);
    iv.writeUInt32BE(this.#rtcpIndex, 8);
    const sealed = this.#seal(3, iv, Buffer.concat([header, trailer]), packet.subarray(8));
    return Buffer.concat([header, sealed, trailer]);
  }

  /** @param label - of the session key; that of the salt is two above it (RFC 3711, 4.3.2) */
  #seal(label: number, iv: Buffer, additional: Buffer, plain: Buffer): Buffer {
    const salt = this.#derived(label + 2, SALT_BYTES);
    const salted = iv.map((byte, index) => byte ^ (salt[index] ?? 0));
    const cipher = createCipheriv('aes-128-gcm', this.#derived(label, KEY_BYTES), salted);
    cipher.setAAD(additional);
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  #derived(label: number, length: number): Buffer {
    const iv = Buffer.alloc(16);
    this.#masterSalt.copy(iv);
    iv[7] = (iv[7] ?? 0) ^ label;
    return createCipheriv('aes-128-ctr', this.#masterKey, iv).update(Buffer.alloc(length));
  }
}
