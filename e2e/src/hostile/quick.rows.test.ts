/** The rows of the attackers' table that fit the time of `npm test`; `npm run test:hostile` runs all of them. */
import { describeAttacks } from './describe-attacks.ts';
import { ATTACKS, QUICK } from './table.ts';

describeAttacks(ATTACKS.filter(({ name }) => QUICK.has(name)));
