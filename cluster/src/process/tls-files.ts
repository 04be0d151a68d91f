import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { SecureContextOptions, Server } from 'node:tls';
import { systemClock } from '../clock.ts';
import { every } from './guarded-callbacks.ts';
import type { Logger } from './logging.ts';

/** How often the files are checked, in milliseconds. */
const LOOK_EVERY_MS = 2_000;

/** The share of its lifetime below which a certificate is late: programs that renew begin at a third. */
const LATE_SHARE = 0.1;

/**
 * The time of the last change and the size of a file. It also shows a link with a new target, which is how Kubernetes
 * replaces files.
 */
function stampOf(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${mtimeMs} ${size} ${ino}`;
}

export interface TlsPaths {
  readonly certFile: string;
  readonly keyFile: string;
}

/** When a certificate is late to be renewed, and when it ends, in milliseconds since the epoch. */
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
 * A certificate and its key, in files that another program renews: a server uses a new pair without a restart. A pair
 * that does not fit together is logged, and the old one stays in use. A certificate that nobody renews is logged
 * before it ends and when it has ended. Open connections survive that, so otherwise nobody would notice until all new
 * connections fail.
 */
export class TlsFiles {
  readonly #paths: TlsPaths;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #stamp = '';
  #refused = '';
  #term: Term | undefined;
  /** The last line that was logged about the end of the current certificate. */
  #saidOfEnd: 'nothing' | 'late' | 'over' = 'nothing';

  constructor(paths: TlsPaths, logger: Logger) {
    this.#paths = paths;
    this.#logger = logger;
  }

  /** @throws Error that names both files if they cannot be read or do not fit together */
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

  /** Gives the server each new pair, until {@link stop}. */
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
      toDo: 'renew the certificate: its files are read again',
    };
    if (now === 'late') this.#logger.warn(detail, 'the certificate ends soon and was not renewed');
    else this.#logger.error(detail, 'the certificate has ended: new connections are refused');
  }

  #renew(server: SecureServer): void {
    const before = this.#stamp;
    try {
      if (this.#readStamp() === before) return;
      server.setSecureContext(this.read());
      this.#refused = '';
      this.#logger.info({ certFile: this.#paths.certFile }, 'the new certificate is in use');
    } catch (fault) {
      // Checked again: half of a pair may have been written when it was read.
      this.#stamp = before;
      const why = fault instanceof Error ? fault.message : String(fault);
      if (why !== this.#refused) {
        this.#logger.error({ why }, 'the new certificate cannot be used; the old one stays in use');
      }
      this.#refused = why;
    }
  }
}

function isSecure(server: object): server is SecureServer {
  return 'setSecureContext' in server;
}

/** The authorities that are trusted, in a file that may change. */
export class AuthorityFile {
  readonly #path: string;
  #stamp = '';
  #text = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** The current authorities; the previous ones if the file cannot be used. @throws Error if it never could (SPEC CF23) */
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

/**
 * Node treats a text without certificates as an authority that trusts nobody. @throws Error unless each part is a
 * certificate
 */
function certificatesIn(path: string): string {
  const text = readFileSync(path, 'utf8');
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) throw new Error('it holds no certificate in PEM');
  for (const certificate of certificates) new X509Certificate(certificate);
  return text;
}
