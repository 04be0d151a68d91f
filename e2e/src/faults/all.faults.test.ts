/** The whole fault table. */
import { describeFaults } from './describe-faults.ts';
import { FAULTS } from './table.ts';

await describeFaults(FAULTS);
