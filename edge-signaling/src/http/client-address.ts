import { BlockList, isIP } from 'node:net';

/** A network in CIDR notation. */
export interface Network {
  readonly address: string;
  readonly prefixLength: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** What a connection and its headers say of where a request comes from. */
export interface AddressClues {
  /** The other end of the connection. */
  readonly remoteAddress: string;
  /** What the PROXY protocol said before the request, where the server understands it. */
  readonly proxied?: string | undefined;
  /** `X-Forwarded-For`, all of its lines joined by commas. */
  readonly forwardedFor?: string | undefined;
  /** `Forwarded` (RFC 7239), all of its lines joined by commas. */
  readonly forwarded?: string | undefined;
}

/** Tells the address of a client behind proxies. */
export type AddressReader = (clues: AddressClues) => string;

/** Whether an address is that of a trusted proxy. */
export function createProxyCheck(trusted: readonly Network[]): (address: string) => boolean {
  const proxies = new BlockList();
  for (const { address, prefixLength, family } of trusted) proxies.addSubnet(address, prefixLength, family);
  return (address) => {
    const version = isIP(address);
    return version !== 0 && proxies.check(address, version === 4 ? 'ipv4' : 'ipv6');
  };
}

/**
 * Only what trusted proxies say counts (SPEC RL4, EN6, EN29): hops are read from the last one, and the first address that is no
 * trusted proxy is the client's. `Forwarded` is read where there is no `X-Forwarded-For`; a proxy writes one of them, and
 * hands on the other as the client sent it. By hand: `proxy-addr` takes a request of Node's HTTP server, which uWebSockets.js does not
 * have, reads neither `Forwarded` nor the PROXY protocol nor a port, and takes `0x7f.1` for an address.
 * @param onIgnored - told of each request of a peer that is no trusted proxy and says for whom it forwards, and of what it says
 */
export function createAddressReader(
  trusted: readonly Network[],
  onIgnored: (address: string, claim: string) => void = () => undefined,
): AddressReader {
  const isTrusted = createProxyCheck(trusted);
  return ({ remoteAddress, proxied, forwardedFor, forwarded }) => {
    let address = normalise(remoteAddress);
    if (!isTrusted(address)) {
      const claim = forwardedFor ?? forwarded;
      if (claim !== undefined) onIgnored(address, claim);
      return address;
    }
    const hops = forwardedFor === undefined ? hopsOfForwarded(forwarded) : forwardedFor.split(',');
    if (proxied !== undefined && proxied !== '') hops.push(proxied);
    while (isTrusted(address)) {
      const previous = addressOfHop(hops.pop());
      // What is no address was not written by a proxy of ours.
      if (previous === undefined) break;
      address = previous;
    }
    return address;
  };
}

/** One hop as proxies write it: an address, with a port or without, IPv6 in brackets or bare, quoted or not. */
function addressOfHop(hop: string | undefined): string | undefined {
  const text = (hop ?? '').trim().replace(/^"(.*)"$/, '$1');
  const [, bracketed] = /^\[([^\]]*)\](?::\w*)?$/.exec(text) ?? [];
  const [, beforePort] = /^([^:]*):\w*$/.exec(text) ?? [];
  const address = bracketed ?? beforePort ?? text;
  return isIP(address) === 0 ? undefined : normalise(address);
}

/** The `for` of each element. What is there and cannot be read stays as an empty hop: it ends what is believed. */
function hopsOfForwarded(header = ''): string[] {
  if (header.trim() === '') return [];
  return partsOf(header, ',').map((element) => {
    for (const pair of partsOf(element, ';')) {
      const [name = '', ...value] = pair.split('=');
      if (name.trim().toLowerCase() === 'for') return value.join('=');
    }
    return '';
  });
}

/**
 * The parts between separators that are not in a quoted string (RFC 9110, 5.6.4). Read from the end, which is what a proxy of ours
 * wrote: whatever a client left open before it, or had put into `host="…"`, is not taken for an element of that proxy.
 */
function partsOf(text: string, separator: ',' | ';'): string[] {
  const parts: string[] = [];
  let end = text.length;
  let isQuoted = false;
  for (let index = text.length - 1; index >= 0; index -= 1) {
    if (text[index] === '"' && !isEscaped(text, index)) isQuoted = !isQuoted;
    if (text[index] !== separator || isQuoted) continue;
    parts.push(text.slice(index + 1, end));
    end = index;
  }
  parts.push(text.slice(0, end));
  return parts.reverse();
}

function isEscaped(text: string, index: number): boolean {
  let backslashes = 0;
  while (text[index - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}

/** Servers print one address in several ways: an IPv4 one mapped into IPv6, or all zeros spelt out. */
export function normalise(address: string): string {
  if (isIP(address) !== 6) return address;
  const short = new URL(`http://[${address.split('%')[0] ?? ''}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short);
  if (mapped === null) return short;
  const [high, low] = [Number.parseInt(mapped[1] ?? '0', 16), Number.parseInt(mapped[2] ?? '0', 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
