/** The rows of the fault table that `npm test` has time for; `npm run test:faults` runs all. */
import { describeFaults } from './describe-faults.ts';
import { FAULTS } from './table.ts';

await describeFaults(FAULTS.filter(({ isQuick }) => isQuick));
