import { createServer } from 'node:net';
import { guardCallback } from './guarded-callbacks.ts';

/** The names of the settings for a server's port and address. */
export interface ListenSettings {
  readonly port: string;
  readonly host: string;
}

/** The settings for the port at which clients reach an edge, and edges a media node. */
export const LISTEN_SETTINGS: ListenSettings = { port: 'PLENARY_PORT', host: 'PLENARY_HOST' };

/** The reason why a server cannot listen; begins with the setting that must be changed (SPEC CF10). */
export function listenFault(
  settings: ListenSettings,
  port: number,
  host: string,
  error: NodeJS.ErrnoException,
): string {
  const ofPort = `${settings.port} ${port} on ${host}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return `${ofPort}: is taken by another process`;
    case 'EACCES':
      return `${ofPort}: may not be bound by this user: allow it with sysctl -w net.ipv4.ip_unprivileged_port_start=${port} (of the network namespace that it runs in), give it CAP_NET_BIND_SERVICE, or name a port from 1024 on`;
    case 'EADDRNOTAVAIL':
      return `${settings.host} ${host}: is no address of an interface of this machine: name one that is, or 0.0.0.0 for all`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${settings.host} ${host}: is a name that this machine cannot resolve: name an address of it`;
    case 'EAFNOSUPPORT':
      return `${settings.host} ${host}: is of a family that this machine does not have`;
    default:
      return `${ofPort}: ${error.message}`;
  }
}

/** Asks the system why a port cannot be listened on, for servers that do not say. @returns undefined if it now can */
export function probeListening(port: number, host: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once(
      'error',
      guardCallback('http', (error: NodeJS.ErrnoException) => resolve(error)),
    );
    probe.listen(
      port,
      host,
      guardCallback('http', () => probe.close(guardCallback('http', () => resolve(undefined)))),
    );
  });
}
