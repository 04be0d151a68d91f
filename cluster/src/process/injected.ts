/** Names of variables that Kubernetes and Docker links add for a service, and that cannot be anything else. */
const INJECTED_NAME =
  /_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR|START|END|PORT_START|PORT_END))?)$/;
/** `PLENARY_EDGE_PORT=tcp://10.0.0.1:3000`; the name of a service may make it the name of a setting. */
const PORT_NAME = /_PORT(?:_START|_END)?$/;
const PORT_URL = /^(?:tcp|udp|sctp):\/\//i;
/** `PLENARY_EDGE_NAME=/app/plenary-edge`, of a Docker link. */
const LINK_NAME = /_NAME$/;
const LINK_PATH = /^\/[^/]+\/[^/]+$/;
/** `PLENARY_EDGE_ENV_TZ=UTC`: the other container's own variables, which a Docker link copies. */
const LINK_ENV = '_ENV_';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Whether a platform, and not a person, added a variable to the environment: Kubernetes does so for each service of
 * its namespace, and Docker for each link. A service called `plenary` gives `PLENARY_PORT=tcp://…`, which is also a
 * setting, so if the name does not decide, the value does.
 */
export function isInjected(name: string, environment: Environment): boolean {
  const value = environment[name] ?? '';
  if (INJECTED_NAME.test(name)) return true;
  if (PORT_NAME.test(name) && PORT_URL.test(value)) return true;
  if (LINK_NAME.test(name) && LINK_PATH.test(value)) return true;
  // Both names may contain this too: `PLENARY_ENV_EDGE_ENV_TZ`.
  const parts = name.split(LINK_ENV);
  return parts.some((_part, index) =>
    LINK_PATH.test(environment[`${parts.slice(0, index).join(LINK_ENV)}_NAME`] ?? ''),
  );
}

/** The known name that is nearest to a misspelt one, if any is near. */
export function nearestName(misspelt: string, known: Iterable<string>): string | undefined {
  let nearest: { readonly name: string; readonly distance: number } | undefined;
  for (const name of known) {
    // All names begin with this prefix, so it says nothing.
    const [left, right] = [misspelt.replace(/^PLENARY_/, ''), name.replace(/^PLENARY_/, '')];
    const distance = editsBetween(left, right);
    if (distance > Math.max(left.length, right.length) / 2) continue;
    if (nearest === undefined || distance < nearest.distance) nearest = { name, distance };
  }
  return nearest?.name;
}

/** The number of letters that must be added, removed, changed or swapped with their neighbour. */
function editsBetween(left: string, right: string): number {
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: right.length + 1 }, (_unused, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      current.push(
        Math.min(
          (last[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (last[column - 1] ?? 0) + (same ? 0 : 1),
          ...(swapped ? [(beforeLast[column - 2] ?? Infinity) + 1] : []),
        ),
      );
    }
    beforeLast = last;
    last = current;
  }
  return last[right.length] ?? 0;
}
