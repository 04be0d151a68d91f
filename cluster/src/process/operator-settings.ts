import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { secretsSetting } from '../keys/derive.ts';
import { adminKeysSetting } from './admin-proof.ts';
import type { AdminSubject } from './admin-proof.ts';
import { beyondOrigin, hostFault, hostSetting, portSetting } from './config.ts';
import type { TlsPaths } from './tls-files.ts';

const fileSetting = z.string().min(1).max(4_096);

/** The settings of edges and media nodes for the operators' port and for TLS. */
export const OPERATOR_SETTINGS = {
  /** The port of /health, /ready, /metrics and /admin; default PLENARY_PORT + {@link OPERATOR_PORT_OFFSET}. */
  PLENARY_OPERATOR_PORT: portSetting.optional(),
  /** The address of the operators' port; default PLENARY_HOST. */
  PLENARY_OPERATOR_HOST: hostSetting.optional(),
  /** The URL at which `plenaryctl` reaches the process; default that address and port. */
  PLENARY_OPERATOR_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
    .max(512)
    .refine(
      (text) => beyondOrigin(text) === undefined,
      'must be scheme, host and port only: http://10.1.0.11:13000',
    )
    .transform((text, context) => {
      const fault = hostFault(text);
      if (fault !== undefined) context.addIssue(fault);
      return URL.parse(text)?.origin ?? z.NEVER;
    })
    .optional(),
  /**
   * The operators' token, for `plenaryctl`; several joined by commas while it is changed. Without it nobody can drain
   * the process.
   */
  PLENARY_ADMIN_TOKEN: secretsSetting.optional(),
  /** Replaces the token: a key that admits operators to this process, and is useless at any other. */
  PLENARY_ADMIN_KEY: adminKeysSetting.optional(),
  /** The certificate of this process' own servers, and its key: with both, the servers speak TLS. */
  PLENARY_TLS_CERT_FILE: fileSetting.optional(),
  PLENARY_TLS_KEY_FILE: fileSetting.optional(),
  /** The authorities that this process trusts when it opens control links; default those that Node knows. */
  PLENARY_TLS_CA_FILE: fileSetting.optional(),
};

/** The offset keeps the ports of several processes on one machine apart. */
export const OPERATOR_PORT_OFFSET = 10_000;

export interface OperatorConfig {
  readonly host: string;
  readonly port: number;
  /** `undefined` if the process cannot know it: an operator must name the address. */
  readonly url: string | undefined;
  /** `undefined` if nobody can drain this process from outside. */
  readonly adminSecrets: readonly (string | KeyObject)[] | undefined;
  /** The certificate of the process' own servers; `undefined` for plain HTTP. */
  readonly tls: TlsPaths | undefined;
  /** The authorities for links that the process opens. */
  readonly caFile: string | undefined;
}

type Parsed = z.output<z.ZodObject<typeof OPERATOR_SETTINGS>> & {
  readonly PLENARY_ID: string;
  readonly PLENARY_HOST: string;
  readonly PLENARY_PORT: number;
};

/** Contradictions between these settings. */
export function operatorFaults(parsed: Parsed, kind: AdminSubject['kind']): string[] {
  const faults: string[] = [];
  const { PLENARY_ADMIN_KEY: adminKeys = [], PLENARY_ID: id } = parsed;
  if (adminKeys.length > 0 && parsed.PLENARY_ADMIN_TOKEN !== undefined) {
    faults.push('PLENARY_ADMIN_KEY: is given beside PLENARY_ADMIN_TOKEN; a process has one or the other');
  }
  const other = adminKeys.find(({ subject }) => subject.kind !== kind || subject.id !== id)?.subject;
  if (other !== undefined) {
    faults.push(`PLENARY_ADMIN_KEY: is the key of ${other.kind} ${other.id}, and this is ${kind} ${id}`);
  }
  if ((parsed.PLENARY_TLS_CERT_FILE === undefined) !== (parsed.PLENARY_TLS_KEY_FILE === undefined)) {
    faults.push('PLENARY_TLS_CERT_FILE: belongs together with PLENARY_TLS_KEY_FILE; give both or none');
  }
  const port = parsed.PLENARY_OPERATOR_PORT ?? parsed.PLENARY_PORT + OPERATOR_PORT_OFFSET;
  if (port > 65_535) faults.push('PLENARY_OPERATOR_PORT: is required where PLENARY_PORT is so high');
  if (port === parsed.PLENARY_PORT) faults.push('PLENARY_OPERATOR_PORT: must not be PLENARY_PORT');
  return faults;
}

export function operatorConfigOf(parsed: Parsed): OperatorConfig {
  const { PLENARY_TLS_CERT_FILE: certFile, PLENARY_TLS_KEY_FILE: keyFile } = parsed;
  const host = parsed.PLENARY_OPERATOR_HOST ?? parsed.PLENARY_HOST;
  const port = parsed.PLENARY_OPERATOR_PORT ?? parsed.PLENARY_PORT + OPERATOR_PORT_OFFSET;
  const tls = certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile };
  const isEverywhere = host === '0.0.0.0' || host === '::';
  const shown = host.includes(':') ? `[${host}]` : host;
  const own = isEverywhere ? undefined : `${tls === undefined ? 'http' : 'https'}://${shown}:${port}`;
  return {
    host,
    port,
    url: parsed.PLENARY_OPERATOR_URL ?? own,
    adminSecrets: parsed.PLENARY_ADMIN_TOKEN ?? parsed.PLENARY_ADMIN_KEY?.map(({ key }) => key),
    tls,
    caFile: parsed.PLENARY_TLS_CA_FILE,
  };
}
