import type { AdminDrainReply } from '@plenary/cluster';

/** Describes a drain in one line. */
export function describeStatus(status: AdminDrainReply): string {
  const { kind, id, state, left, gone, cut, remainingMs } = status;
  const who = kind === 'edge' ? 'sockets' : 'people';
  switch (state) {
    case 'serving':
      return `${id} serves ${left} ${who}.`;
    case 'draining':
      return `${id} drains: ${left} ${who} left, ${gone} gone; ${Math.ceil((remainingMs ?? 0) / 1_000)} s until the deadline.`;
    case 'drained':
      return `${id} is drained: ${gone} ${who} gone${cut === 0 ? '' : `, ${cut} of them cut off at the deadline`}.`;
  }
}

/** The exit code for a drain's end; `undefined` while it continues. */
export function exitCodeOf({ state, cut }: Pick<AdminDrainReply, 'state' | 'cut'>): number | undefined {
  if (state === 'draining') return undefined;
  // Somebody cancelled it meanwhile: the process is not to be stopped.
  if (state === 'serving') return 1;
  return cut === 0 ? 0 : 2;
}
