/** One event, one POST: what the application gets, and where nothing is sent to. */
import dns from 'node:dns';
import type { LookupFunction } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createPublicLookup, isPublicAddress } from '../src/application/public-address.js';
import { SendEventError, createSendEvent } from '../src/application/send-event.js';
import type { SendEventOptions, SentEvent } from '../src/application/send-event.js';
import { newSecret, startReceiver } from './support/receiver.js';
import type { Receiver } from './support/receiver.js';
import { standIn } from './support/stand-in.js';
import { waitFor } from './support/wait.js';

let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver.close());
afterEach(() => receiver.answer(204));

const EVENT: SentEvent = {
  id: 42,
  type: 'connection.reauthorization_required',
  connectionId: 'acme',
  data: { round: 2, since: '2026-11-23T07:00:00.000Z' },
  createdAt: new Date('2026-11-23T07:31:00.000Z'),
};

const sender = (options: Partial<SendEventOptions> = {}) =>
  createSendEvent({ url: receiver.url, secret: receiver.secret, allowPrivate: true, ...options });

/** Why it was not taken. */
async function refusal(options: Partial<SendEventOptions> = {}): Promise<string> {
  const error: unknown = await sender(options)(EVENT).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SendEventError)) throw new Error(`expected a refusal, got ${String(error)}`);
  return error.message;
}

describe('an event', () => {
  it('comes with its id, what happened, when, and a signature that fits', async () => {
    const before = receiver.sent.length;
    await sender()(EVENT);
    expect(receiver.sent.slice(before)).toEqual([
      {
        id: 'evt_42',
        type: 'connection.reauthorization_required',
        timestamp: '2026-11-23T07:31:00.000Z',
        data: { connectionId: 'acme', round: 2, since: '2026-11-23T07:00:00.000Z' },
        body: expect.any(String),
      },
    ]);
  });

  it('has the same id and body each time it is sent', async () => {
    const before = receiver.sent.length;
    const send = sender();
    await send(EVENT);
    await send(EVENT);
    const [first, second] = receiver.sent.slice(before);
    expect(second).toEqual(first);
  });

  it('that is signed with another secret is not believed', async () => {
    const [sent, forged] = [receiver.sent.length, receiver.forged.length];
    expect(await refusal({ secret: newSecret() })).toContain('answered 401 Unauthorized');
    expect(receiver.forged).toHaveLength(forged + 1);
    expect(receiver.sent).toHaveLength(sent);
  });

  it('that was altered on its way is not believed', () => {
    const webhook = new Webhook(receiver.secret);
    const now = new Date();
    const headers = {
      'webhook-id': 'evt_1',
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': webhook.sign('evt_1', now, '{"a":1}'),
    };
    expect(webhook.verify('{"a":1}', headers)).toEqual({ a: 1 });
    expect(() => webhook.verify('{"a":2}', headers)).toThrow('No matching signature');
    expect(() => webhook.verify('{"a":1}', { ...headers, 'webhook-id': 'evt_2' })).toThrow('No matching signature');
  });
});

describe('is taken with', () => {
  it.each([200, 201, 202, 204])('%d', async (status) => {
    receiver.answer(status);
    await sender()(EVENT);
    expect(receiver.taken.at(-1)?.id).toBe('evt_42');
  });

  it('a 200 whose body never ends, of which little is read', async () => {
    let written = 0;
    let closed = false;
    const url = await standIn((_request, response) => {
      response.writeHead(200).on('close', () => (closed = true));
      const write = () => {
        if (closed) return;
        written += 65_536;
        response.write(Buffer.alloc(65_536), () => setImmediate(write));
      };
      write();
    });
    await sender({ url })(EVENT);
    await waitFor('the connection is given up', () => closed);
    // What fits into the buffers of two sockets on top of the limit.
    expect(written).toBeLessThan(10_000_000);
  });

  it('a 200 whose body breaks off', async () => {
    const url = await standIn((request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"ok":', () => request.socket.destroy());
    });
    await expect(sender({ url })(EVENT)).resolves.toBeUndefined();
  });
});

describe('is not taken, and the reason is said, when the receiver', () => {
  it.each([
    [400, 'answered 400 Bad Request'],
    [404, 'answered 404 Not Found'],
    [410, 'answered 410 Gone'],
    [429, 'answered 429 Too Many Requests'],
    [500, 'answered 500 Internal Server Error'],
    [503, 'answered 503 Service Unavailable'],
    [599, 'answered 599'],
    ['closes', 'closed the connection before it had answered (UND_ERR_SOCKET)'],
    ['takes and closes', 'closed the connection before it had answered (UND_ERR_SOCKET)'],
  ] as const)('%s', async (answer, reason) => {
    receiver.answer(answer);
    expect(await refusal()).toBe(`${new URL(receiver.url).host} ${reason}`);
  });

  it.each([301, 302, 303, 307, 308])('redirects with %d, which is not followed', async (status) => {
    receiver.answer(status);
    const followed = receiver.redirected;
    expect(await refusal()).toMatch(new RegExp(`answered ${status} .*; redirects are not followed$`));
    // Only whoever follows it gets there.
    expect(receiver.redirected).toBe(followed);
    await fetch(receiver.elsewhere, { method: 'POST' });
    expect(receiver.redirected).toBe(followed + 1);
  });

  it('does not answer in time', async () => {
    receiver.answer('slow');
    expect(await refusal({ timeoutMs: 300 })).toContain('did not answer within 0.3 s');
  });

  it('is not there', async () => {
    await receiver.down();
    expect(await refusal()).toContain('refused the connection (ECONNREFUSED)');
    await receiver.up();
    await sender()(EVENT);
  });

  it('has a name that nobody knows', async () => {
    const lookup: LookupFunction = (_hostname, _options, callback) =>
      callback(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }), []);
    const url = 'https://gone.example/hooks/with-a-token';
    // And the path, which may be a secret, is not part of the reason.
    expect(await refusal({ url, lookup })).toBe('gone.example is not known to the DNS (ENOTFOUND)');
    expect(await refusal({ url, lookup, allowPrivate: false })).toBe(
      'gone.example is not known to the DNS (ENOTFOUND)',
    );
  });

  it('does not speak TLS, although its URL says so', async () => {
    expect(await refusal({ url: receiver.url.replace('http:', 'https:') })).toContain('does not speak TLS');
  });
});

it('a caller that gives up ends the request with its own reason', async () => {
  receiver.answer('slow');
  const controller = new AbortController();
  const before = receiver.sent.length;
  const sending = sender()(EVENT, controller.signal);
  await Promise.all([
    expect(sending).rejects.toThrow('the Worker stops'),
    waitFor('it was sent', () => receiver.sent.length > before).then(() =>
      controller.abort(new Error('the Worker stops')),
    ),
  ]);
});

/** As a URL has it, and what it means. */
const PRIVATE = [
  ['127.0.0.1', 'loopback'],
  ['127.1', 'loopback, in short'],
  ['0x7f000001', 'loopback, as a hexadecimal number'],
  ['2130706433', 'loopback, as a number'],
  ['017700000001', 'loopback, as an octal number'],
  ['0.0.0.0', 'this host'],
  ['10.1.2.3', 'private'],
  ['172.16.0.1', 'private'],
  ['192.168.1.1', 'private'],
  ['100.64.0.1', 'carrier-grade NAT'],
  ['169.254.169.254', 'link-local: the metadata service of a cloud'],
  ['198.18.0.1', 'benchmarks'],
  ['224.0.0.1', 'multicast'],
  ['255.255.255.255', 'broadcast'],
  ['[::]', 'this host'],
  ['[::1]', 'loopback'],
  ['[::7f00:1]', 'loopback, in the old IPv4-compatible form'],
  ['[::ffff:127.0.0.1]', 'loopback, mapped into IPv6'],
  ['[::ffff:a9fe:a9fe]', 'link-local, mapped into IPv6'],
  ['[64:ff9b::a00:1]', 'private, behind NAT64'],
  ['[2002:7f00:1::]', 'loopback, as 6to4'],
  ['[fc00::1]', 'unique local'],
  ['[fd12:3456::1]', 'unique local'],
  ['[fe80::1]', 'link-local'],
  ['[ff02::1]', 'multicast'],
] as const;

describe('without MAESN_SYNC_EVENTS_ALLOW_PRIVATE nothing is sent', () => {
  const port = () => new URL(receiver.url).port;

  it.each(PRIVATE)('to %s (%s)', async (host) => {
    const before = receiver.sent.length;
    const reason = await refusal({ url: `https://${host}:${port()}/hooks`, allowPrivate: false });
    expect(reason).toContain('which is not a public address; set MAESN_SYNC_EVENTS_ALLOW_PRIVATE=true');
    expect(receiver.sent).toHaveLength(before);
  });

  it('without TLS', async () => {
    const reason = await refusal({ url: 'http://hooks.example.com/', allowPrivate: false });
    expect(reason).toContain('hooks.example.com is not sent to: its URL is not https');
  });

  it('to a name that the DNS leads to loopback, and with it, it is sent', async () => {
    const url = `//localhost:${port()}/hooks`;
    const reason = await refusal({ url: `https:${url}`, allowPrivate: false });
    expect(reason).toMatch(
      /^localhost:\d+ is not sent to: it is at (?:127\.0\.0\.1|::1), which is not a public address/,
    );
    const before = receiver.taken.length;
    await sender({ url: `http:${url}`, allowPrivate: true })(EVENT);
    expect(receiver.taken).toHaveLength(before + 1);
  });

  it('to a name that has a public address and a private one', async () => {
    const lookup = resolvesTo([['93.184.216.34', '10.0.0.7']]);
    const reason = await refusal({ url: 'https://two-faced.example/', lookup, allowPrivate: false });
    expect(reason).toContain('two-faced.example is not sent to: it is at 10.0.0.7');
  });

  it('to a name that was public when it was looked up before', async () => {
    const lookup = createPublicLookup(resolvesTo([['93.184.216.34'], ['127.0.0.1']]));
    const look = () =>
      new Promise((resolve, reject) =>
        lookup('rebinding.example', { all: true }, (error, found) => (error === null ? resolve(found) : reject(error))),
      );
    expect(await look()).toEqual([{ address: '93.184.216.34', family: 4 }]);
    await expect(look()).rejects.toThrow('is at 127.0.0.1');
  });

  it('to an address that was not checked: a connection asks the DNS once, and goes where that answer says', async () => {
    const asked: string[] = [];
    const lookup: LookupFunction = (hostname, options, callback) => {
      asked.push(hostname);
      dns.lookup('127.0.0.1', options, callback);
    };
    await sender({ url: `http://rebinding.example:${port()}/hooks`, lookup })(EVENT);
    expect(asked).toEqual(['rebinding.example']);
  });

  /** Answers one look-up after the other. */
  function resolvesTo(answers: string[][]): LookupFunction {
    const next = answers.values();
    return (_hostname, _options, callback) =>
      callback(
        null,
        (next.next().value ?? []).map((address) => ({ address, family: 4 })),
      );
  }
});

describe('a public address', () => {
  it.each(['8.8.8.8', '93.184.216.34', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])(
    '%s is one',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it.each(['', 'localhost', '::7f00:1', '4000::1', '5f00::1', '64:ff9b:1::1', '2001:db8::1', 'fec0::1'])(
    '%j is none',
    (address) => expect(isPublicAddress(address)).toBe(false),
  );
});
