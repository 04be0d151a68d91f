/** The rows of the fault table that fit the time of `npm test`; `npm run test:faults` runs all of them. */
import { describeFaults } from './describe-faults.ts';
import { FAULTS } from './table.ts';

await describeFaults(FAULTS.filter(({ isQuick }) => isQuick));
