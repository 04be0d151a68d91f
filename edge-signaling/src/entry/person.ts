/** Identifies the person whose budgets a session spends. */
import type { SessionGrants } from '@plenary/cluster';
import { digestOf } from '../digest.ts';
import { siteOf } from '../limits/address-keys.ts';

/** Identifies a person at an edge, where all their sessions share one budget (SPEC BU63, BU18). Tenant ids contain no spaces. */
export const personOf = ({ tenant, sub }: Pick<SessionGrants, 'tenant' | 'sub'>): string =>
  `${tenant} ${sub}`;

/** Identifies a person after they left. A guest has a new subject in each token, so guests are identified by their address. */
export const rememberedAs = (
  grants: Pick<SessionGrants, 'tenant' | 'sub' | 'guest'>,
  address: string,
): string => (grants.guest === true ? `${grants.tenant} guests of ${siteOf(address)}` : personOf(grants));

/** The digest by which a media node recognizes a person under any peer id; each guest counts as a new person (SPEC MS39). */
export function digestOfPerson(grants: Pick<SessionGrants, 'tenant' | 'sub' | 'guest'>): {
  readonly person?: string;
} {
  if (grants.guest === true) return {};
  return { person: digestOf(personOf(grants)) };
}
