/** The costs of the requests of features. Each new feature adds a line to each list here (CONTRIBUTING, "A feature"). */
import { HAND_COSTS, HAND_WORK } from './hands/costs.ts';

/** The edge's own work for each request, whatever the request contains (SPEC RL1). */
export const FEATURE_WORK = {
  ...HAND_WORK,
};

/** The further cost of each request, by its content and the number of people in the room (SPEC BU4). */
export const FEATURE_COSTS = {
  ...HAND_COSTS,
};
