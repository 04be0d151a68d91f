import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { X509Certificate, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { types } from 'mediasoup';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { bindingRequest } from './stun.ts';

/** A DTLS client by `openssl`, whose packets reach a transport from the source that ICE chose. */
export class DtlsClient {
  readonly #folder = mkdtempSync(join(tmpdir(), 'plenary-dtls-'));
  readonly #toNode = createSocket('udp4');
  readonly #toClient: Socket = createSocket('udp4');
  #openssl: ChildProcess | undefined;
  #output = '';

  /** @param srtpProfile - as `openssl` names it */
  async connect(transport: types.WebRtcTransport, srtpProfile: string, exportedBytes: number): Promise<void> {
    const [certFile, keyFile] = [join(this.#folder, 'cert.pem'), join(this.#folder, 'key.pem')];
    const made = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      '/CN=client',
    ];
    execFileSync('openssl', ['req', '-x509', ...made, '-keyout', keyFile, '-out', certFile], {
      stdio: 'pipe',
    });
    const { fingerprint256 } = new X509Certificate(readFileSync(certFile));
    await transport.connect({
      dtlsParameters: { role: 'client', fingerprints: [{ algorithm: 'sha-256', value: fingerprint256 }] },
    });
    const [candidate] = transport.iceCandidates;
    if (candidate === undefined) throw new Error('the transport has no candidate');
    this.#toNode.connect(candidate.port, candidate.address);
    await once(this.#toNode, 'connect');
    this.#toClient.bind(0, '127.0.0.1');
    await once(this.#toClient, 'listening');
    const { usernameFragment, password } = transport.iceParameters;
    this.send(bindingRequest(randomBytes(12), `${usernameFragment}:test`, password));
    await once(this.#toNode, 'message');

    let clientPort = 0;
    this.#toClient.on('message', (packet, { port }) => {
      clientPort = port;
      this.send(packet);
    });
    this.#toNode.on('message', (packet) => {
      this.#toClient.send(packet, clientPort, '127.0.0.1');
    });
    const place = `127.0.0.1:${this.#toClient.address().port}`;
    const exported = ['-keymatexport', 'EXTRACTOR-dtls_srtp', '-keymatexportlen', String(exportedBytes)];
    this.#openssl = spawn(
      'openssl',
      [
        's_client',
        '-dtls1_2',
        ...['-connect', place, '-cert', certFile, '-key', keyFile, '-use_srtp', srtpProfile],
        ...exported,
      ],
      { stdio: ['pipe', 'pipe', 'ignore'] },
    );
    this.#openssl.stdout?.on('data', (text: Buffer) => {
      this.#output += text.toString();
    });
    await waitFor('DTLS to be connected', () => transport.dtlsState === 'connected');
  }

  /** What the keys of SRTP are derived from (RFC 5764, 4.2). */
  async keyingMaterial(): Promise<Buffer> {
    const hex = await waitFor(
      'the keying material',
      () => /Keying material: ([0-9A-F]+)\n/.exec(this.#output)?.[1],
    );
    return Buffer.from(hex, 'hex');
  }

  /** Writes into DTLS. */
  write(text: string): void {
    this.#openssl?.stdin?.write(text);
  }

  /** Sends a packet beside DTLS. */
  send(packet: Buffer): void {
    this.#toNode.send(packet);
  }

  close(): void {
    this.#openssl?.kill('SIGKILL');
    this.#toNode.close();
    this.#toClient.close();
    rmSync(this.#folder, { recursive: true });
  }
}
