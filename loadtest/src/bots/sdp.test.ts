import { TRANSPORT_OFFER } from '@plenary/cluster/protocol';
import { describe, expect, it } from 'vitest';
import { answerFor, readDtlsParameters } from './sdp.ts';

const FINGERPRINT = Array.from({ length: 32 }, (_, index) => index.toString(16).padStart(2, '0')).join(':');

const bytes = (byte: string, count: number): string => Array.from({ length: count }, () => byte).join(':');
const OFFER = [
  'v=0',
  'o=rtc 1 0 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0',
  `a=fingerprint:sha-256 ${FINGERPRINT}`,
  'm=audio 56531 UDP/TLS/RTP/SAVPF 100',
  'c=IN IP4 127.0.0.1',
  'a=mid:0',
  'a=recvonly',
  'a=rtpmap:100 opus/48000/2',
  'a=setup:actpass',
  '',
].join('\r\n');

const TRANSPORT = TRANSPORT_OFFER.parse({
  id: 'transport',
  iceParameters: { usernameFragment: 'fragment', password: 'p'.repeat(32), iceLite: true },
  iceCandidates: [
    {
      foundation: 'udpcandidate',
      priority: 1_076_302_079,
      ip: '127.0.0.1',
      address: '127.0.0.1',
      protocol: 'udp',
      port: 20_000,
      type: 'host',
    },
    {
      foundation: 'tcpcandidate',
      priority: 1_076_276_479,
      ip: '127.0.0.1',
      address: '127.0.0.1',
      protocol: 'tcp',
      port: 20_000,
      type: 'host',
      tcpType: 'passive',
    },
  ],
  dtlsParameters: {
    role: 'auto',
    fingerprints: [
      { algorithm: 'sha-1', value: bytes('AA', 20) },
      { algorithm: 'sha-256', value: bytes('CC', 32) },
    ],
  },
});

describe('readDtlsParameters', () => {
  it('makes the bot the DTLS client, with its fingerprint in upper case', () => {
    expect(readDtlsParameters(OFFER)).toEqual({
      role: 'client',
      fingerprints: [{ algorithm: 'sha-256', value: FINGERPRINT.toUpperCase() }],
    });
  });

  it('refuses a description without a fingerprint', () => {
    expect(() => readDtlsParameters('v=0\r\n')).toThrow();
  });
});

describe('answerFor', () => {
  const answer = answerFor(OFFER, TRANSPORT).split('\r\n');

  it('answers as an ICE-lite end that waits for DTLS', () => {
    expect(answer).toContain('a=ice-lite');
    expect(answer).toContain('a=setup:passive');
    expect(answer).toContain('a=ice-ufrag:fragment');
    expect(answer).toContain(`a=ice-pwd:${'p'.repeat(32)}`);
    expect(answer).toContain(`a=fingerprint:sha-256 ${bytes('CC', 32)}`);
  });

  it('repeats the one media section and reverses its direction', () => {
    expect(answer).toContain('m=audio 9 UDP/TLS/RTP/SAVPF 100');
    expect(answer).toContain('a=mid:0');
    expect(answer).toContain('a=sendonly');
    expect(answer).toContain('a=rtpmap:100 opus/48000/2');
    expect(answerFor(OFFER.replace('recvonly', 'sendonly'), TRANSPORT)).toContain('a=recvonly');
  });

  it('names only UDP candidates, because libdatachannel speaks UDP', () => {
    expect(answer.filter((line) => line.startsWith('a=candidate:'))).toEqual([
      'a=candidate:udpcandidate 1 udp 1076302079 127.0.0.1 20000 typ host',
    ]);
    const tcpOnly = { ...TRANSPORT, iceCandidates: TRANSPORT.iceCandidates.slice(1) };
    expect(() => answerFor(OFFER, tcpOnly)).toThrow('no UDP candidate');
  });

  it('refuses an offer with more than one media section', () => {
    expect(() => answerFor(`${OFFER}m=video 9 UDP/TLS/RTP/SAVPF 101\r\n`, TRANSPORT)).toThrow('exactly one');
  });
});
