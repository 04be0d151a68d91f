/** The features of a room at an edge. One that is added has a line in each list here (CONTRIBUTING, "A feature"). */
import type { FeatureServices } from '../entries/change-entries.ts';
import type { Row } from './feature.ts';
import { HANDS } from './hands/hands.ts';

export const FEATURE_WORK = {
  ...HANDS.work,
};

export const FEATURE_COSTS = {
  ...HANDS.costs,
};

export const featureRoutes = (row: Row, services: FeatureServices) => ({
  ...HANDS.routes(row, services),
});
