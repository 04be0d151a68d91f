/** What the requests of features cost. A feature that is added has a line in each list here (CONTRIBUTING, "A feature"). */
import { HAND_COSTS, HAND_WORK } from './hands/costs.ts';

/** What each takes of the edge's own work, whatever it holds (SPEC RL1). */
export const FEATURE_WORK = {
  ...HAND_WORK,
};

/** What each costs beside, by what it holds and by how many people the room has (SPEC BU4). */
export const FEATURE_COSTS = {
  ...HAND_COSTS,
};
