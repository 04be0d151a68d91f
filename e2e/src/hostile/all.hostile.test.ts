/** The whole attackers' table: `npm run test:hostile`. */
import { describeAttacks } from './describe-attacks.ts';
import { ATTACKS } from './table.ts';

describeAttacks(ATTACKS);
