/** The rows of the attackers' table that `npm test` has time for; `npm run test:hostile` runs all. */
import { describeAttacks } from './describe-attacks.ts';
import { ATTACKS, QUICK } from './table.ts';

describeAttacks(ATTACKS.filter(({ name }) => QUICK.has(name)));
