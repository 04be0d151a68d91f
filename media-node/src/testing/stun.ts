import { createHmac, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { crc32 } from 'node:zlib';
import type { TransportOffer } from '@plenary/cluster';

const MAGIC_COOKIE = 0x2112a442;
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;

/**
 * Checks a transport's UDP candidate as an ICE agent does (RFC 8489, RFC 8445): only the worker that created the
 * transport, on the port of the candidate, answers it. As in a browser, an answer counts only if it comes from the
 * address that was checked.
 * @param from - the source address on this machine; the system's choice by default
 * @throws Error when no answer comes
 */
export async function checkCandidate(
  offer: TransportOffer,
  candidate: TransportOffer['iceCandidates'][number],
  from?: string,
): Promise<void> {
  const { usernameFragment, password } = offer.iceParameters;
  const ip = (await lookup(candidate.address)).address;
  const transaction = randomBytes(12);
  const request = bindingRequest(transaction, `${usernameFragment}:test`, password);
  const socket = createSocket(isIPv6(ip) ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      const send = (): void => {
        socket.send(request);
      };
      let repeat: NodeJS.Timeout | undefined;
      const enough = setTimeout(() => {
        clearInterval(repeat);
        reject(new Error(`no answer from ${candidate.address} port ${candidate.port}`));
      }, 60_000);
      socket.on('error', reject);
      socket.on('message', (answer) => {
        if (answer.readUInt16BE(0) !== BINDING_SUCCESS || !answer.subarray(8, 20).equals(transaction)) return;
        clearInterval(repeat);
        clearTimeout(enough);
        resolve();
      });
      socket.bind({ ...(from === undefined ? {} : { address: from }) }, () => {
        // On a connected socket the system drops packets from other addresses.
        socket.connect(candidate.port, ip, () => {
          // UDP may lose packets even on loopback, when the receiver is too slow.
          repeat = setInterval(send, 200);
          send();
        });
      });
    });
  } finally {
    socket.close();
  }
}

/** A request that the transport with this password accepts (RFC 8445, 7.1). */
export function bindingRequest(transaction: Buffer, username: string, password: string): Buffer {
  const attributes = Buffer.concat([
    attribute(0x0006, Buffer.from(username)),
    attribute(0x0024, uint32(0x6e_00_01_ff)), // PRIORITY
    attribute(0x802a, randomBytes(8)), // ICE-CONTROLLING
    attribute(0x0025, Buffer.alloc(0)), // USE-CANDIDATE
  ]);
  // Each of the last two attributes covers the bytes before it, with the length as if it were the last one.
  const signed = Buffer.concat([header(transaction, attributes.length + 24), attributes]);
  const integrity = attribute(0x0008, createHmac('sha1', password).update(signed).digest());
  const whole = Buffer.concat([header(transaction, attributes.length + 32), attributes, integrity]);
  return Buffer.concat([whole, attribute(0x8028, uint32((crc32(whole) ^ 0x5354554e) >>> 0))]);
}

function header(transaction: Buffer, length: number): Buffer {
  const fields = Buffer.alloc(8);
  fields.writeUInt16BE(BINDING_REQUEST, 0);
  fields.writeUInt16BE(length, 2);
  fields.writeUInt32BE(MAGIC_COOKIE, 4);
  return Buffer.concat([fields, transaction]);
}

function attribute(type: number, value: Buffer): Buffer {
  const fields = Buffer.alloc(4);
  fields.writeUInt16BE(type, 0);
  fields.writeUInt16BE(value.length, 2);
  return Buffer.concat([fields, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
