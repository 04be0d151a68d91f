import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { SecureContextOptions, Server } from 'node:tls';
import { systemClock } from '../clock.ts';
import { every } from './guarded-callbacks.ts';
import type { Logger } from './logging.ts';

/** How often files are looked at, in milliseconds. */
const LOOK_EVERY_MS = 2_000;

/** With less than this share of its time left, a certificate should have been renewed: programs that renew begin at a third. */
const LATE_SHARE = 0.1;

/** When a file was last written, and how long it is: also a link that leads elsewhere now shows, as Kubernetes makes it. */
function stampOf(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${mtimeMs} ${size} ${ino}`;
}

export interface TlsPaths {
  readonly certFile: string;
  readonly keyFile: string;
}

/** From when a certificate is late to be renewed, and when it ends, in milliseconds since the epoch. */
interface Term {
  readonly lateMs: number;
  readonly endMs: number;
}

function termOf(certificate: Buffer): Term {
  const { validFrom, validTo } = new X509Certificate(certificate);
  const [fromMs, endMs] = [Date.parse(validFrom), Date.parse(validTo)];
  return { lateMs: endMs - (endMs - fromMs) * LATE_SHARE, endMs };
}

type SecureServer = Pick<Server, 'setSecureContext'>;

/**
 * A certificate with its key, in files that something else renews: a server takes a new pair without a restart. A pair that
 * does not fit together is said, and the old one goes on. A certificate that nobody renews is said before it ends and when it has ended: connections
 * that stand go on, so that the end would show when the next one is made, and then everywhere.
 */
export class TlsFiles {
  readonly #paths: TlsPaths;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #stamp = '';
  #refused = '';
  #term: Term | undefined;
  /** The last line that was said about the end of the certificate in use. */
  #saidOfEnd: 'nothing' | 'late' | 'over' = 'nothing';

  constructor(paths: TlsPaths, logger: Logger) {
    this.#paths = paths;
    this.#logger = logger;
  }

  /** @throws Error that names both files when they cannot be read, or do not fit together */
  read(): Pick<SecureContextOptions, 'cert' | 'key'> {
    const { certFile, keyFile } = this.#paths;
    try {
      this.#stamp = this.#readStamp();
      const pair = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
      createSecureContext(pair);
      this.#term = termOf(pair.cert);
      this.#saidOfEnd = 'nothing';
      return pair;
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`PLENARY_TLS_CERT_FILE ${certFile} with PLENARY_TLS_KEY_FILE ${keyFile}: ${why}`, {
        cause,
      });
    }
  }

  /** Gives the server a new pair whenever there is one, until {@link stop}. */
  follow(server: object): void {
    if (!isSecure(server)) return;
    this.#timer = every(LOOK_EVERY_MS, () => {
      this.#renew(server);
      this.#sayEnd();
    });
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #readStamp(): string {
    return `${stampOf(this.#paths.certFile)} ${stampOf(this.#paths.keyFile)}`;
  }

  #sayEnd(): void {
    const nowMs = systemClock.wallMs();
    if (this.#term === undefined || nowMs < this.#term.lateMs) return;
    const { endMs } = this.#term;
    const now = nowMs < endMs ? 'late' : 'over';
    if (this.#saidOfEnd === now) return;
    this.#saidOfEnd = now;
    const { certFile } = this.#paths;
    const detail = {
      certFile,
      endsAt: new Date(endMs).toISOString(),
      toDo: 'renew the certificate: its files are read anew',
    };
    if (now === 'late') this.#logger.warn(detail, 'the certificate ends soon, and nobody has renewed it');
    else this.#logger.error(detail, 'the certificate has ended: whoever connects anew refuses it');
  }

  #renew(server: SecureServer): void {
    const before = this.#stamp;
    try {
      if (this.#readStamp() === before) return;
      server.setSecureContext(this.read());
      this.#refused = '';
      this.#logger.info({ certFile: this.#paths.certFile }, 'the new certificate is in use');
    } catch (fault) {
      // Looked at again: half of a pair may have been written when it was read.
      this.#stamp = before;
      const why = fault instanceof Error ? fault.message : String(fault);
      if (why !== this.#refused) {
        this.#logger.error({ why }, 'the new certificate cannot be used; the old one goes on');
      }
      this.#refused = why;
    }
  }
}

function isSecure(server: object): server is SecureServer {
  return 'setSecureContext' in server;
}

/** The authorities whose certificates are believed, in a file that may change. */
export class AuthorityFile {
  readonly #path: string;
  #stamp = '';
  #text = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** As they are now; as they were when the file cannot be used. @throws Error when it never could (SPEC CF23) */
  current(): string {
    try {
      const stamp = stampOf(this.#path);
      if (stamp !== this.#stamp) {
        this.#text = certificatesIn(this.#path);
        this.#stamp = stamp;
      }
    } catch (cause) {
      if (this.#text === '') throw new Error(`PLENARY_TLS_CA_FILE ${this.#path}: cannot be used`, { cause });
    }
    return this.#text;
  }
}

const CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^]*?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/** Node takes a text without certificates for an authority that believes nobody. @throws Error which each of them is not one */
function certificatesIn(path: string): string {
  const text = readFileSync(path, 'utf8');
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) throw new Error('it holds no certificate in PEM');
  for (const certificate of certificates) new X509Certificate(certificate);
  return text;
}
