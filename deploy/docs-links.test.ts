import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const pages = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n');

/** The names with which GitHub links to a page's headings; code blocks have none. */
function anchorsOf(path: string): Set<string> {
  const anchors = new Map<string, number>();
  const text = readFileSync(path, 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  for (const [, heading = ''] of text.matchAll(/^#{1,6} (.+)$/gm)) {
    const name = heading
      .toLowerCase()
      .replace(/\]\([^)]*\)/g, '')
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    const times = anchors.get(name) ?? 0;
    anchors.set(name, times + 1);
    if (times > 0) anchors.set(`${name}-${times}`, 1);
  }
  return new Set(anchors.keys());
}

describe('the docs', () => {
  it.each(pages)('%s links only to files and headings that exist', (page) => {
    const path = join(root, page);
    for (const [, target = ''] of readFileSync(path, 'utf8').matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const linked = file === '' ? path : resolve(dirname(path), file);
      expect(existsSync(linked), target).toBe(true);
      if (anchor !== undefined) expect([...anchorsOf(linked)], target).toContain(anchor);
    }
  });
});
