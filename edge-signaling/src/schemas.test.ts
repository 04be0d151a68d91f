import { fileURLToPath } from 'node:url';
import { looseStrings, schemasOf } from '@plenary/cluster/testing/schema-walk';
import { expect, test } from 'vitest';

test('[MS1] no string of what edges tell each other or are asked over HTTP is loose', async () => {
  const schemas = await schemasOf(fileURLToPath(new URL('./', import.meta.url)), [
    'testing/',
    'auth/key-settings.ts',
    'config.ts',
    'main.ts',
  ]);
  const names = schemas.map(({ name }) => name).join('\n');
  expect(names).toContain('EDGE_MESSAGE');
  expect(names).toContain('GUEST_TOKEN_REQUEST');
  expect(schemas.flatMap((schema) => looseStrings(schema, () => false))).toEqual([]);
});
