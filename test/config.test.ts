import { describe, expect, it } from 'vitest';
import { ConfigError, VARIABLES, readConfig, requireVariables } from '../src/config.js';
import { createTargetSystems } from '../src/spec/target-systems.js';
import { temporalAddress } from '../src/temporal.js';

describe('the environment', () => {
  it('needs nothing: every variable has a default or may be absent', () => {
    expect(readConfig({ env: {} })).toMatchObject({
      MAESN_BASE_URL: 'https://api.maesn.dev',
      MAESN_TIMEOUT: 30_000,
      MAESN_SYNC_REMIND_EVERY: 86_400_000,
    });
  });

  it('names all that is wrong, at once', () => {
    const env = {
      MAESN_BASE_URL: 'ftp://x',
      MAESN_TIMEOUT: 'soon',
      LOG_LEVEL: 'loud',
      MAESN_SYNC_SEALING_KEY: 'short',
    };
    expect(() => readConfig({ env })).toThrow(ConfigError);
    const message = (() => {
      try {
        return readConfig({ env });
      } catch (error) {
        return String(error);
      }
    })();
    for (const name of Object.keys(env)) expect(message).toContain(name);
    expect(message).toContain('openssl rand -base64 32');
  });

  it.each([
    ['250 ms', 250],
    ['1 second', 1_000],
    ['1.5 minutes', 90_000],
    ['2h', 7_200_000],
    ['14 days', 1_209_600_000],
  ])('reads %s', (text, ms) => {
    expect(readConfig({ env: { MAESN_TIMEOUT: text } }).MAESN_TIMEOUT).toBe(ms);
  });

  it('takes an empty variable for one that is not set', () => {
    expect(readConfig({ env: { MAESN_API_KEY: '', MAESN_TIMEOUT: '' } })).toMatchObject({ MAESN_TIMEOUT: 30_000 });
  });

  it('refuses to ask Maesn faster than the guide allows, outside the sandbox', () => {
    const env = { MAESN_RETRY_TIME_SCALE: '60' };
    expect(() => readConfig({ env })).toThrow('MAESN_RETRY_TIME_SCALE');
    expect(readConfig({ env, sandbox: true }).MAESN_RETRY_TIME_SCALE).toBe(60);
  });

  it.each([
    [{ MAESN_SYNC_EVENTS_SECRET: undefined }, 'MAESN_SYNC_EVENTS_SECRET: must be set with MAESN_SYNC_EVENTS_URL'],
    [{ MAESN_SYNC_EVENTS_URL: 'http://127.0.0.1/hooks' }, 'must be https, unless MAESN_SYNC_EVENTS_ALLOW_PRIVATE'],
    [{ MAESN_SYNC_EVENTS_URL: 'https://me:word@app.example.com' }, 'must not hold a user name or password'],
  ])('refuses events that could not be verified or would travel in the clear: %j', (change, message) => {
    const right = {
      MAESN_SYNC_EVENTS_URL: 'https://app.example.com/hooks',
      MAESN_SYNC_EVENTS_SECRET: `whsec_${Buffer.alloc(32, 1).toString('base64')}`,
    };
    expect(() => readConfig({ env: right })).not.toThrow();
    expect(() => readConfig({ env: { ...right, ...change } })).toThrow(message);
  });

  it('lets events travel in the clear where that is said', () => {
    const env = {
      MAESN_SYNC_EVENTS_URL: 'http://127.0.0.1/hooks',
      MAESN_SYNC_EVENTS_SECRET: `whsec_${Buffer.alloc(32, 1).toString('base64')}`,
      MAESN_SYNC_EVENTS_ALLOW_PRIVATE: 'true',
    };
    expect(readConfig({ env }).MAESN_SYNC_EVENTS_ALLOW_PRIVATE).toBe(true);
  });

  it('takes what an operator knows better of target systems', () => {
    const text =
      '{"xero":{"concurrency":10,"rateLimits":[{"requests":120,"perMs":60000}]},"brand-new":{"exclusive":true}}';
    const { MAESN_SYNC_TARGET_SYSTEMS: overrides } = readConfig({ env: { MAESN_SYNC_TARGET_SYSTEMS: text } });
    expect(overrides).toEqual(JSON.parse(text));
    const { get, requestsInFlight, scopedLimits } = createTargetSystems(overrides);
    expect(requestsInFlight('xero')).toBe(10);
    // The list as a whole: what was agreed replaces what is published. And a field that is not named stays.
    expect(scopedLimits('xero', 'a')).toEqual([{ scope: 'connection/a', limit: { requests: 120, perMs: 60_000 } }]);
    expect(get('xero').webhooks).toBe(true);
    expect(get('brand-new')).toEqual({ rateLimits: [], exclusive: true });
    // Nobody else's table is changed by it.
    expect(createTargetSystems().requestsInFlight('xero')).toBe(5);
  });

  it.each([
    ['xero', 'MAESN_SYNC_TARGET_SYSTEMS: must be JSON'],
    ['[]', 'MAESN_SYNC_TARGET_SYSTEMS: must be an object of target systems'],
    ['{"Xero!":{}}', 'must be a target system such as "xero"'],
    ['{"xero":{"concurrency":0}}', 'MAESN_SYNC_TARGET_SYSTEMS.xero.concurrency: must be 1 to 50'],
    ['{"xero":{"concurrency":51}}', 'MAESN_SYNC_TARGET_SYSTEMS.xero.concurrency: must be 1 to 50'],
    ['{"xero":{"concurrency":2.5}}', 'MAESN_SYNC_TARGET_SYSTEMS.xero.concurrency: must be a whole number'],
    ['{"xero":{"concurency":5}}', 'MAESN_SYNC_TARGET_SYSTEMS.xero: Unrecognized key: "concurency"'],
    ['{"xero":{"rateLimits":[{"requests":-1,"perMs":1000}]}}', 'xero.rateLimits.0.requests: must be at least 1'],
    ['{"xero":{"rateLimits":[{"requests":1,"per":1000}]}}', 'xero.rateLimits.0.perMs: must be a whole number'],
    ['{"xero":{"errorLimit":{"requests":1,"perMs":1000}}}', 'xero.errorLimit.requests: must be at least 2'],
  ])('refuses %s for target systems, and says where', (text, message) => {
    expect(() => readConfig({ env: { MAESN_SYNC_TARGET_SYSTEMS: text } })).toThrow(message);
  });

  it('names all that a process cannot do without', () => {
    const config = readConfig({ env: { MAESN_API_KEY: 'k' } });
    expect(() => requireVariables(config, 'MAESN_API_KEY', 'DATABASE_URL', 'MAESN_SYNC_SEALING_KEY')).toThrow(
      'The environment is not right:\n  DATABASE_URL: must be set\n  MAESN_SYNC_SEALING_KEY: must be set',
    );
    expect(requireVariables(config, 'MAESN_API_KEY').MAESN_API_KEY).toBe('k');
  });

  it.each(Object.entries(VARIABLES))('%s is described', (_name, schema) => {
    expect(schema.meta()?.description).toMatch(/\.$/);
  });
});

describe('Temporal', () => {
  it('is found through its own standard variables', () => {
    const env = { TEMPORAL_ADDRESS: 'example.tmprl.cloud:7233', TEMPORAL_NAMESPACE: 'books', TEMPORAL_API_KEY: 'k' };
    expect(temporalAddress(env)).toEqual({ address: 'example.tmprl.cloud:7233', namespace: 'books' });
  });

  it('is on this machine when they are not set', () => {
    expect(temporalAddress({ TEMPORAL_ADDRESS: '' })).toEqual({ address: '127.0.0.1:7233', namespace: 'default' });
  });
});
