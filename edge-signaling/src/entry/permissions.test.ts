import { TRACK_SOURCE } from '@plenary/cluster/protocol';
import { describe, expect, it } from 'vitest';
import { mayPublish, mayPublishAnything } from './permissions.ts';

describe('permissions', () => {
  it('[TK4] a speaker publishes what its token grants, a viewer nothing', () => {
    const speaker = { role: 'speaker', publish: ['microphone'] } as const;
    const allowed = TRACK_SOURCE.options.filter((source) =>
      mayPublish({ ...speaker, publish: ['microphone'] }, source),
    );
    expect(allowed).toEqual(['microphone']);
    expect(mayPublishAnything({ role: 'viewer', publish: ['microphone'] })).toBe(false);
    expect(mayPublishAnything({ role: 'host', publish: [] })).toBe(false);
  });
});
