/** Whose budgets a session spends. */
import type { SessionGrants } from '@plenary/cluster';
import { digestOf } from '../digest.ts';
import { siteOf } from '../limits/address-keys.ts';

/** Who a person is to an edge: all their sessions share one budget there (SPEC BU17, BU18). Tenants have no spaces. */
export const personOf = ({ tenant, sub }: Pick<SessionGrants, 'tenant' | 'sub'>): string =>
  `${tenant} ${sub}`;

/** As whom they are remembered who leave: a guest has another subject with each token, and is known by the address alone. */
export const rememberedAs = (
  grants: Pick<SessionGrants, 'tenant' | 'sub' | 'guest'>,
  address: string,
): string => (grants.guest === true ? `${grants.tenant} guests of ${siteOf(address)}` : personOf(grants));

/** By which a media node knows a person again, whichever peer they are; of guests each is somebody new (SPEC MS10). */
export function digestOfPerson(grants: Pick<SessionGrants, 'tenant' | 'sub' | 'guest'>): {
  readonly person?: string;
} {
  if (grants.guest === true) return {};
  return { person: digestOf(personOf(grants)) };
}
