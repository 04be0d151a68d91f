/** What the cluster says of itself to programs: for those who write a client, and for clients at their start. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { ROUTER_RTP_CAPABILITIES, SERVED_PROTOCOL_VERSIONS } from '@plenary/cluster/protocol';
import type { HttpHandler } from './port.ts';
import { createFile } from './static-files.ts';

/** They change with a release only, and an edge of another release may answer next. */
const CACHED = 'public, max-age=300';
const JSON_TYPE = 'application/json; charset=utf-8';

/** `GET /api/capabilities`: what every router of the cluster can receive and send. */
export async function serveCapabilities(): Promise<HttpHandler> {
  const body = { protocolVersions: SERVED_PROTOCOL_VERSIONS, rtpCapabilities: ROUTER_RTP_CAPABILITIES };
  return createFile(Buffer.from(JSON.stringify(body)), { contentType: JSON_TYPE, cacheControl: CACHED });
}

/** `GET /api/protocol.json`: JSON Schemas of every message, as `npm run generate` wrote them. */
export async function serveProtocolSchema(): Promise<HttpHandler> {
  const path = fileURLToPath(import.meta.resolve('@plenary/cluster/protocol-schema.json'));
  return createFile(await readFile(path), {
    contentType: 'application/schema+json; charset=utf-8',
    cacheControl: CACHED,
  });
}
