import { describe, expect, it } from 'vitest';
import { imageFaults } from './images.ts';

const DIGEST = `@sha256:${'0'.repeat(64)}`;

describe('[SU3] images are named by tag and digest', () => {
  it.each([
    `FROM docker.io/library/debian:12${DIGEST}`,
    `ARG BASE=docker.io/library/debian:12${DIGEST}\nFROM --platform=linux/amd64 \${BASE} AS build\nFROM build`,
    `    image: "ghcr.io/a/b:1.2${DIGEST}"`,
    '  image: plenary/media-node:${PLENARY_VERSION:-0.1.0}',
    '  image: ${REDIS_IMAGE:-docker.io/library/redis:7.4-alpine}',
  ])('takes %j', (text) => {
    expect(imageFaults(text)).toEqual([]);
  });

  it.each([
    ['FROM debian', 'debian'],
    ['FROM docker.io/library/debian:latest', 'docker.io/library/debian:latest'],
    [`FROM docker.io/library/debian${DIGEST}`, `docker.io/library/debian${DIGEST}`],
    ['ARG BASE=node:24\nFROM $BASE AS build', 'node:24'],
    ['    image: redis:${REDIS_VERSION:-8}', 'redis:8'],
    ['FROM ${UNKNOWN}', '${UNKNOWN}'],
  ])('refuses %j', (text, image) => {
    expect(imageFaults(text)).toEqual([expect.stringContaining(`${image} names no digest`)]);
  });
});
