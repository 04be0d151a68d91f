import { z } from 'zod';

/** The address of the local Consul agent's HTTP interface. */
export interface ConsulAddress {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

/** The address and the token with which a process uses its Consul agent. */
export interface ConsulSettings {
  readonly address: ConsulAddress;
  /** An ACL token. */
  readonly token: string | undefined;
}

/** `CONSUL_HTTP_ADDR` as Consul's own tools read it: `127.0.0.1:8500`, or with `http://` or `https://` before it. */
export const consulAddressSetting = z.string().transform((text, context): ConsulAddress => {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (url === null || url.hostname === '' || !['http:', 'https:'].includes(url.protocol)) {
    context.addIssue('must look like 127.0.0.1:8500 or https://consul.example.org:8501');
    return z.NEVER;
  }
  if (url.pathname !== '/' || url.search !== '' || url.username !== '') {
    context.addIssue('takes a host and a port only; the token is given by CONSUL_HTTP_TOKEN');
    return z.NEVER;
  }
  const secure = url.protocol === 'https:';
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return { host: url.hostname, port, secure };
});

/** `CONSUL_HTTP_TOKEN`. */
export const consulTokenSetting = z.string().min(1).max(256);

/** Combines the two settings: without an address there is no Consul. */
export function consulSettings(
  address: ConsulAddress | undefined,
  token: string | undefined,
): ConsulSettings | undefined {
  return address === undefined ? undefined : { address, token };
}
