import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { imageFaults } from './images.ts';

const DIGEST = `@sha256:${'0'.repeat(64)}`;

describe('[SU3] images are named by tag and digest', () => {
  it.each([
    `FROM docker.io/library/debian:12${DIGEST}`,
    `ARG BASE=docker.io/library/debian:12${DIGEST}\nFROM --platform=linux/amd64 \${BASE} AS build\nFROM build`,
    `    image: "ghcr.io/a/b:1.2${DIGEST}"`,
    '  image: plenary/media-node:${PLENARY_VERSION:-0.1.0}',
    `  image: \${REDIS_IMAGE:-docker.io/library/redis:7.4.11-alpine${DIGEST}}`,
    `FROM a/b:1${DIGEST} AS build\nFROM a/b:1${DIGEST}\nCOPY --from=build /a /b\nCOPY --chown=1 --from=0 /a /b`,
    '# image: whatever a comment says',
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
    ['    image: ${REDIS_IMAGE:-docker.io/library/redis:7.4-alpine}', 'docker.io/library/redis:7.4-alpine'],
    ['COPY --from=docker.io/library/caddy:2 /usr/bin/caddy /usr/bin/', 'docker.io/library/caddy:2'],
    ['RUN --mount=type=bind,from=alpine:3,target=/a true', 'alpine:3'],
    ['# syntax=docker/dockerfile:1', 'docker/dockerfile:1'],
    ['  - image: "redis:8"', 'redis:8'],
    ['services: { redis: { image: redis:8 } }', 'redis:8'],
    ['from debian:12 as build', 'debian:12'],
  ])('refuses %j', (text, image) => {
    expect(imageFaults(text)).toEqual([expect.stringContaining(`${image} names no digest`)]);
  });

  it('says of each where its digest was read', () => {
    const deploy = join(import.meta.dirname, '../..');
    const files = ['compose.yaml', 'images/edge-signaling.Dockerfile', 'images/media-node.Dockerfile'];
    const texts = files.map((file) => readFileSync(join(deploy, file), 'utf8'));
    const named = new Set(texts.flatMap((text) => text.match(/[\w.-]+:[\w.-]+@sha256:[0-9a-f]{64}/g) ?? []));
    const page = readFileSync(join(deploy, 'README.md'), 'utf8');
    const told = [...page.matchAll(/^\| `([^`]+)` \| `(sha256:[0-9a-f]{64})` \| .+ \|$/gm)];
    expect(told.map(([, image, digest]) => `${image}@${digest}`).sort()).toEqual([...named].sort());
    expect(named.size).toBe(3);
  });
});
