import { readdir, readFile } from 'node:fs/promises';

/** The processes that a process started. */
export async function childrenOf(pid: number): Promise<number[]> {
  const children: number[] = [];
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const listed = await readFile(`/proc/${pid}/task/${task}/children`, 'utf8');
    children.push(...listed.split(' ').filter(Boolean).map(Number));
  }
  return children;
}
