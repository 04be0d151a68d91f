import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

export interface TestAuthority {
  /** Of its own certificate. */
  readonly caFile: string;
  /** Writes a certificate for 127.0.0.1 and its key. @returns both paths */
  issue(name: string): { readonly certFile: string; readonly keyFile: string };
}

/** An authority of a test's own, in a folder, made by `openssl`. */
export function createAuthority(folder: string, name: string): TestAuthority {
  const at = (file: string): string => join(folder, `${name}-${file}`);
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { stdio: 'pipe' });
  };
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'] as const;
  const [caFile, caKey] = [at('ca.pem'), at('ca.key')];
  openssl('req', '-x509', ...curve, '-days', '2', '-subj', `/CN=${name}`, '-keyout', caKey, '-out', caFile);
  return {
    caFile,
    issue: (leaf) => {
      const [certFile, keyFile] = [at(`${leaf}.pem`), at(`${leaf}.key`)];
      const request = ['-subj', `/CN=${leaf}`, '-addext', 'subjectAltName=IP:127.0.0.1'] as const;
      const signed = ['-CA', caFile, '-CAkey', caKey, '-days', '2'] as const;
      openssl('req', '-x509', ...curve, ...signed, ...request, '-keyout', keyFile, '-out', certFile);
      return { certFile, keyFile };
    },
  };
}
