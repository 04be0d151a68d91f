/** The chapter "Tokens" of `docs/protocol.md` says what the code does. */
import { readFileSync } from 'node:fs';
import {
  CLOCK_LEEWAY_SECONDS,
  JOIN_GRANTS,
  MAX_JOIN_TOKEN_SECONDS,
  TOKEN_FAULTS,
  tokenFault,
} from '@plenary/cluster';
import type { TokenFault } from '@plenary/cluster';
import { ROLE, TRACK_SOURCE } from '@plenary/cluster/protocol';
import { describe, expect, it } from 'vitest';

const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
const start = page.indexOf('\n## Tokens\n');
const chapter = page.slice(start, page.indexOf('\n## ', start + 1));

/** The rows of the table whose first column has this title. */
function table(title: string): string[][] {
  const from = chapter.indexOf(`| ${title} |`);
  const text = chapter.slice(from, chapter.indexOf('\n\n', from));
  return [...text.matchAll(/^\| `([^`]+)` \| (.*) \|$/gm)].map(([, name = '', rest = '']) => [
    name,
    ...rest.split(' | '),
  ]);
}

const isFault = (reason: string): reason is TokenFault => Object.hasOwn(TOKEN_FAULTS, reason);

describe('the chapter on tokens', () => {
  it('[DC1] has every claim of a join token, and no other', () => {
    const claims = table('claim').map(([name]) => name);
    const own = ['iss', 'aud', 'iat', 'exp', 'nbf'];
    expect([...claims].sort()).toEqual([...own, ...Object.keys(JOIN_GRANTS.shape)].sort());
  });

  it('[DC1] names every role and every source, and the times as they are', () => {
    const meaningOf = (claim: string): string =>
      table('claim')
        .find(([name]) => name === claim)
        ?.join(' ') ?? '';
    for (const role of ROLE.options) expect(meaningOf('role')).toContain(`\`${role}\``);
    for (const source of TRACK_SOURCE.options) expect(meaningOf('publish')).toContain(`\`${source}\``);
    expect(meaningOf('exp')).toContain(`at most ${MAX_JOIN_TOKEN_SECONDS} s after`);
    expect(chapter).toContain(`Clocks may differ by ${CLOCK_LEEWAY_SECONDS} s, either way`);
  });

  it('[DC2] has every reason for which a token is refused, with its code', () => {
    const documented = table('reason');
    expect(documented.map(([reason]) => reason)).toEqual(Object.keys(TOKEN_FAULTS));
    for (const [reason = '', code = '', says] of documented) {
      if (!isFault(reason)) throw new Error(`${reason} is none`);
      expect([reason, code, says]).toEqual([reason, `\`${tokenFault(reason).code}\``, TOKEN_FAULTS[reason]]);
    }
  });
});
