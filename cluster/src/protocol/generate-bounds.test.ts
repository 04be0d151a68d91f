import { describe, expect, it } from 'vitest';
import { CLIENT_REQUESTS } from './client-edge.ts';
import { boundsOfRequests } from './generate-bounds.ts';

describe('the bounds of fields', () => {
  it('[PR10] name every request, with the bounds of fields, of lists and of the types that they use', () => {
    const text = boundsOfRequests();
    for (const name of Object.keys(CLIENT_REQUESTS))
      expect(text).toMatch(new RegExp(`^\\| \`${name}[.\`]`, 'm'));
    expect(text).toContain('| `join.requestId` | `RequestId` |');
    expect(text).toContain('| `subscribe.trackIds` | list, 1 to 64 |');
    expect(text).toMatch(/^\| `RequestId` \| text, 1 to 64/m);
    expect(text).toContain('| `ConsumerUpdate.priority` | integer, 1 to 255, optional |');
    expect(text).not.toContain('anything');
  });
});
