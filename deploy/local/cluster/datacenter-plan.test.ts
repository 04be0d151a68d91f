import { describe, expect, it } from 'vitest';
import { blockName, linkTo, planDatacenters } from './datacenter-plan.ts';

const SIZES = [
  { name: 'gra', mediaNodes: 1 },
  { name: 'sbg', mediaNodes: 2 },
  { name: 'waw', mediaNodes: 2 },
];

describe('planDatacenters', () => {
  it('gives each media node addresses that no other one has, in any block', () => {
    const places = [0, 63].flatMap((block) => planDatacenters(block, SIZES).mediaNodes);
    expect(places.map(({ datacenter }) => datacenter).slice(0, 5)).toEqual([
      'gra',
      'sbg',
      'sbg',
      'waw',
      'waw',
    ]);
    expect(new Set(places.map(({ mediaAddress }) => mediaAddress)).size).toBe(10);
    expect(new Set(places.map(({ controlAddress }) => controlAddress)).size).toBe(6);
  });

  it('lays one cable between each two of them, from namespace to namespace', () => {
    const { hostCommands, between } = planDatacenters(0, SIZES);
    const cables = hostCommands.filter((command) => command.startsWith('link add to-'));
    expect(cables.map((command) => command.match(/netns \S+/g))).toEqual([
      ['netns plenary0-gra', 'netns plenary0-sbg'],
      ['netns plenary0-gra', 'netns plenary0-waw'],
      ['netns plenary0-sbg', 'netns plenary0-waw'],
    ]);
    expect(between).toBeUndefined();
  });

  it('ends every cable in between where they are apart', () => {
    const { hostCommands, between, cabling, namespaceCommands } = planDatacenters(5, SIZES, true);
    const cables = hostCommands.filter((command) => command.startsWith('link add to-'));
    expect(cables).toHaveLength(6);
    for (const command of cables) expect(command).toContain(`netns ${between}`);
    expect(between).toBe('plenary5-between');
    expect([...cabling.values()].map(({ namespace }) => namespace)).not.toContain(between);
    expect([...namespaceCommands.keys()]).toContain(between);
  });

  it('names everything so that it is found by its block, and short enough for Linux', () => {
    const long = ['abcdefghijkl', 'mnopqrstuvwx'].map((name) => ({ name, mediaNodes: 30 }));
    const { hostCommands } = planDatacenters(63, long, true);
    const names = hostCommands.flatMap((command) => {
      const added = /^(?:link|netns) add (\S+)/.exec(command)?.[1];
      const peer = /peer name (\S+)/.exec(command)?.[1];
      return [added, peer].filter((name) => name !== undefined);
    });
    expect(names).toContain(linkTo('abcdefghijkl'));
    for (const name of names.filter((one) => !one.startsWith(blockName(63))))
      expect(name.length).toBeLessThan(16);
    const onHost = hostCommands.filter((command) => /^(link add (?!to-)|netns add)/.test(command));
    for (const command of onHost) expect(command).toMatch(/ add plenary63(-| )/);
  });

  it.each([
    [[{ name: 'between', mediaNodes: 1 }], /named "between"/],
    [[{ name: 'much-too-long', mediaNodes: 1 }], /1 to 12 letters/],
    [[{ name: 'gra', mediaNodes: 31 }], /0 to 30 media nodes/],
    [
      [
        { name: 'gra', mediaNodes: 1 },
        { name: 'gra', mediaNodes: 1 },
      ],
      /same name/,
    ],
    [Array.from({ length: 8 }, (_, index) => ({ name: `d${index}`, mediaNodes: 1 })), /7 datacenters, not 8/],
  ])('refuses what does not fit: %j', (sizes, message) => {
    expect(() => planDatacenters(0, sizes)).toThrow(message);
  });
});
