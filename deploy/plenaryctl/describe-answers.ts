import type { AdminPeopleReply, AdminRoomsReply } from '@plenary/cluster';

/** The answer of one edge. */
export type EdgeAnswer =
  | ({ readonly kind: 'rooms' } & AdminRoomsReply)
  | ({ readonly kind: 'people' } & AdminPeopleReply)
  | { readonly kind: 'revoke'; readonly ended: number };

/** The lines that a person reads: what all edges know, put together. */
export function describeAnswers(answers: readonly EdgeAnswer[]): string[] {
  const rooms = new Map<string, { people: number; edges: number }>();
  const people: string[] = [];
  let [ended, leftOut] = [0, 0];
  for (const answer of answers) {
    switch (answer.kind) {
      case 'rooms':
        leftOut += answer.leftOut;
        for (const { tenant, room, sessions } of answer.rooms) {
          const known = rooms.get(`${tenant}\t${room}`) ?? { people: 0, edges: 0 };
          rooms.set(`${tenant}\t${room}`, { people: known.people + sessions, edges: known.edges + 1 });
        }
        break;
      case 'people':
        leftOut += answer.leftOut;
        for (const { person, displayName, role, mediaNodeId, isConnected } of answer.people) {
          const where = isConnected ? mediaNodeId : `${mediaNodeId} (away)`;
          people.push([person, displayName, role, answer.edgeId, where].join('\t'));
        }
        break;
      case 'revoke':
        ended += answer.ended;
    }
  }
  const more = leftOut === 0 ? [] : [`… and ${leftOut} more.`];
  switch (answers[0]?.kind) {
    case undefined:
      return [];
    case 'rooms': {
      const lines = [...rooms].sort(([left], [right]) => (left < right ? -1 : 1));
      const shown = lines.map(([name, { people: count, edges }]) => `${name}\t${count}\t${edges}`);
      return ['TENANT\tROOM\tPEOPLE\tEDGES', ...shown, ...more];
    }
    case 'people':
      return ['PERSON\tNAME\tROLE\tEDGE\tMEDIA NODE', ...people.sort(), ...more];
    case 'revoke':
      return [`Taken away. ${ended} ${ended === 1 ? 'session' : 'sessions'} ended.`];
  }
}
