import { describe, expect, it } from 'vitest';
import { consulAddressSetting, consulSettings } from './settings.ts';

describe('CONSUL_HTTP_ADDR', () => {
  it.each([
    ['127.0.0.1:8500', { host: '127.0.0.1', port: 8500, secure: false }],
    ['http://consul.gra.example.org:8500', { host: 'consul.gra.example.org', port: 8500, secure: false }],
    ['https://consul.gra.example.org:8501', { host: 'consul.gra.example.org', port: 8501, secure: true }],
    ['https://consul.gra.example.org', { host: 'consul.gra.example.org', port: 443, secure: true }],
    ['[::1]:8500', { host: '[::1]', port: 8500, secure: false }],
  ])('[CO7] %s is read as Consul’s own tools read it', (text, address) => {
    expect(consulAddressSetting.parse(text)).toEqual(address);
  });

  it.each(['', 'unix:///run/consul.sock', 'http://127.0.0.1:8500/v1', 'http://user@127.0.0.1:8500', ':8500'])(
    '[CO7] %s is refused',
    (text) => {
      expect(consulAddressSetting.safeParse(text).success).toBe(false);
    },
  );

  it('[CO7] without an address there is no Consul, whatever else is set', () => {
    expect(consulSettings(undefined, 'token')).toBeUndefined();
  });
});
