/** What a client makes of what a newer edge of the same version says, and it does not know (SPEC PR5, PR12, PR16, PR17). */
import { z } from 'zod';
import { patternText } from './text.ts';

/** A code, a reason or a type that was added later. */
const LATER_NAME = patternText(/^[a-z][a-z0-9_.]{0,63}$/, 64, 'must be a name');

/** An open list: what is not in it is taken for `meant`. */
export const openTo = <const Name extends string>(
  known: z.ZodEnum<Record<Name, Name>>,
  meant: NoInfer<Name>,
) => z.union([known, LATER_NAME.transform(() => meant)]);

/** An event that was added later: it has its place in the order of the room, and changes nothing. */
export const LATER_EVENT = z
  .looseObject({ type: LATER_NAME })
  .transform(({ type }) => ({ type: 'unknown' as const, name: type }));
