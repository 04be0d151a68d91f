import type { HAND_REQUESTS } from '@plenary/cluster/protocol';
import { eventTo } from '../../limits/resources.ts';
import type { FeatureCosts } from '../feature-costs.ts';

type HandRequest = keyof typeof HAND_REQUESTS;

export const HAND_WORK = { 'hand.raise': 2, 'hand.lower': 2 } as const satisfies Record<HandRequest, number>;

export const HAND_COSTS = {
  'hand.raise': (_request, people) => eventTo(people),
  'hand.lower': (_request, people) => eventTo(people),
} satisfies FeatureCosts<HandRequest>;
