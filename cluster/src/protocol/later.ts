/** What clients and edges make of what a newer edge of the same version says, and they do not know (SPEC PR5, PR12, PR16, PR17, PR18). */
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

/** Bytes of an event of a later release, as JSON: above the longest of this one. */
export const MAX_LATER_EVENT_BYTES = 65_536;

/** An event that this release cannot read, on its way from an edge of a later one to clients that perhaps can: its JSON is what came. */
export class LaterEvent {
  readonly type = 'unknown';
  readonly name: string;
  readonly #body: object;

  constructor(name: string, body: object) {
    this.name = name;
    this.#body = body;
  }

  toJSON(): object {
    return this.#body;
  }
}

/** An event whose type is none of those that are known; a known type in a shape of its own is not let through by this. */
export const laterEventBeside = (known: ReadonlySet<string>) =>
  z
    .looseObject({ type: LATER_NAME })
    .refine(({ type }) => !known.has(type), 'does not fit the event of its type')
    .refine((body) => JSON.stringify(body).length <= MAX_LATER_EVENT_BYTES, 'must not be so large')
    .transform((body) => new LaterEvent(body.type, body));
