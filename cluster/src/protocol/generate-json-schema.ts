/**
 * Writes `protocol-schema.generated.json`: JSON Schemas of every message between a client and an edge, generated from
 * the schemas that both use. Run by `npm run generate`; with `--check` it only compares, for `npm run check`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ERROR_TABLE } from '../errors.ts';
import * as protocol from './index.ts';

const TARGET = fileURLToPath(new URL('./protocol-schema.generated.json', import.meta.url));

/** `RTP_PARAMETERS` is `RtpParameters` in the document. */
const titleOf = (constant: string): string =>
  constant
    .toLowerCase()
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');

/** Every exported schema of the protocol, so that the document uses the same names. */
const named = z.registry<{ id: string }>();
for (const [constant, value] of Object.entries(protocol)) {
  if (value instanceof z.ZodType) named.add(value, { id: titleOf(constant) });
}

const definitions: Record<string, unknown> = {};

/**
 * The schema of a message as it is sent, before it is parsed: unknown fields are allowed (docs/protocol.md,
 * "Versions"). Named schemas become definitions of the document.
 */
function schemaOf(schema: z.ZodType): unknown {
  const { $schema: _dialect, $defs = {}, ...own } = z.toJSONSchema(schema, { io: 'input', metadata: named });
  Object.assign(definitions, $defs);
  return own;
}

/** The whole document. Requests and notices are listed under their names: `#/$defs/request:join`. */
export function protocolSchema(): unknown {
  const messages: Record<string, unknown> = {};
  for (const [name, { summary, payload, reply }] of Object.entries(protocol.CLIENT_REQUESTS)) {
    messages[`request:${name}`] = { description: summary, ...Object(schemaOf(payload)) };
    messages[`reply:${name}`] = schemaOf(reply);
  }
  for (const [name, { summary, payload }] of Object.entries(protocol.EDGE_NOTICES)) {
    messages[`notice:${name}`] = { description: summary, ...Object(schemaOf(payload)) };
  }
  messages['envelope'] = schemaOf(protocol.REPLY_ENVELOPE);
  messages['error'] = schemaOf(protocol.WIRE_ERROR);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'The protocol between a client and an edge of Plenary',
    description:
      'Messages by name: request:*, reply:*, notice:*, envelope (of every acknowledgement), error. Lengths of texts are meant in UTF-16 units, where JSON Schema counts characters.',
    'x-protocolVersions': protocol.SERVED_PROTOCOL_VERSIONS,
    'x-errors': ERROR_TABLE,
    $defs: { ...messages, ...definitions },
  };
}

if (import.meta.main) {
  const generated = `${JSON.stringify(protocolSchema(), null, 1)}\n`;
  if (!process.argv.includes('--check')) {
    writeFileSync(TARGET, generated);
  } else if (readFileSync(TARGET, 'utf8') !== generated) {
    process.stderr.write('protocol-schema.generated.json is out of date: run `npm run generate`.\n');
    process.exitCode = 1;
  }
}
