import { json } from './port.ts';
import type { HttpHandler } from './port.ts';

/** What a page has to know of the service before anybody joins. */
export interface ServiceInfo {
  /** Whether there are rooms that people may open without a token of an application. */
  readonly guests: boolean;
  /** Sites that may show the page in a frame and give it tokens. */
  readonly embedOrigins: readonly string[];
}

/** `GET /api/service` */
export function handleService(info: ServiceInfo): HttpHandler {
  return () => json(200, info);
}
