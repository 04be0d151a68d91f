/** A process of the benchmark that holds many people. `reconnecting-crowd.ts` starts it, and it ends with its parent. */
import { CROWD_COMMAND } from './crowd-messages.ts';
import type { CrowdAnswer, CrowdCommand, CrowdCount, CrowdReport, CrowdSpec } from './crowd-messages.ts';
import { Member, timedJoin } from './member.ts';

/** How many people share one address: as many as in an office, and fewer than an edge allows by default. */
const MEMBERS_PER_ADDRESS = 200;

const members: Member[] = [];
/** This process's people by room; no room has people in two processes. */
const rooms = new Map<string, Member[]>();

/** Addresses from 127.0.1.1 to 127.0.254.254, from which no other program of the machine connects. */
export function addressOf(index: number): string {
  const place = Math.floor(index / MEMBERS_PER_ADDRESS);
  return `127.0.${1 + Math.floor(place / 254)}.${1 + (place % 254)}`;
}

async function joinAll(spec: CrowdSpec): Promise<string[]> {
  const { first, count, concurrency, apiKey, apiSecret, edgeUrls, roomSize } = spec;
  const failures: string[] = [];
  let next = 0;
  const joinSome = async (): Promise<void> => {
    while (next < count) {
      const index = first + next;
      next += 1;
      const roomId = `storm-${Math.floor(index / roomSize)}`;
      const member = new Member({
        credentials: { apiKey, apiSecret },
        edgeUrls,
        roomId,
        name: `person-${index}`,
        localAddress: addressOf(index),
      });
      const outcome = await timedJoin(member);
      if (typeof outcome === 'string') failures.push(outcome);
      else {
        members.push(member);
        rooms.set(roomId, [...(rooms.get(roomId) ?? []), member]);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, joinSome));
  return failures;
}

function count(): CrowdCount {
  const phases = members.map(({ phase }) => phase);
  const of = (phase: Member['phase']): number => phases.filter((other) => other === phase).length;
  const lost = members.reduce((sum, { gaps }) => sum + gaps.length, 0);
  return { joined: of('joined'), reconnecting: of('reconnecting'), failed: of('failed'), lost };
}

function report(): CrowdReport {
  const { joined } = count();
  const sum = (value: (member: Member) => number): number =>
    members.reduce((total, member) => total + value(member), 0);
  const same = sum(({ isSame }) => (isSame ? 1 : 0));
  const failures = members.flatMap(({ failure }) => (failure === undefined ? [] : [failure]));
  return {
    gaps: members.flatMap(({ gaps }) => gaps),
    same,
    joinedAnew: joined - same,
    failures,
    trying: members.length - joined - failures.length,
    mediaReopened: sum(({ mediaReopened }) => mediaReopened),
    malformed: sum(({ faults }) => faults.malformed),
    timedOut: sum(({ faults }) => faults.timedOut),
    incomplete: [...rooms.values()].flatMap((room) =>
      room.filter(({ peersSeen }) => peersSeen !== room.length),
    ).length,
  };
}

async function answer(command: CrowdCommand): Promise<CrowdAnswer> {
  switch (command.type) {
    case 'join':
      return { type: 'join', failures: await joinAll(command.spec) };
    case 'count':
      return { type: 'count', count: count() };
    case 'report':
      return { type: 'report', report: report() };
  }
}

process.on('message', (message) => {
  answer(CROWD_COMMAND.parse(message)).then(
    (reply) => process.send?.(reply),
    (fault: unknown) => {
      console.error(fault);
      process.exit(1);
    },
  );
});
// The parent has ended or is done, so this process ends, and its sockets with it.
process.on('disconnect', () => process.exit(0));
