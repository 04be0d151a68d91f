/** The handlers of features. Each new feature adds a line here and in `costs.ts` (CONTRIBUTING, "A feature"). */
import type { FeatureServices } from '../entries/change-entries.ts';
import type { Row } from './feature.ts';
import { handRoutes } from './hands/hands.ts';

export const featureRoutes = (row: Row, services: FeatureServices) => ({
  ...handRoutes(row, services),
});
