/** Maesn says that something happened: a hint for the sync, a deletion, or a login that may be dead. */
import type { MaesnSync } from '../client.js';
import { parseWebhookBody } from '../maesn/webhook-event.js';
import type { WebhookBody, WebhookEvent } from '../maesn/webhook-event.js';
import type { Resource } from '../spec/resources.js';
import { hintedSignal, reauthorizeConnectionStart, revokedSignal, syncConnectionId } from '../workflows/messages.js';
import type { ClientContext } from './context.js';
import { MaesnSyncError, callTemporal, ignoreNotRunning } from './errors.js';
import { isSignedWith } from './signatures.js';

/** Who it was, for the journal. */
const MAESN = 'Maesn';

type Of<Kind extends WebhookEvent['kind']> = readonly Extract<WebhookEvent, { kind: Kind }>[];

export function createWebhooks(context: ClientContext): Pick<MaesnSync, 'receiveWebhook'> {
  const { temporal, store, taskQueue, reauthorization } = context;

  /** Of a burst, one Signal is enough: the store says what to pull. */
  async function hint(id: string, events: Of<'changed'>): Promise<void> {
    const counts = new Map<Resource, number>();
    for (const resource of events.flatMap(({ resources }) => resources)) {
      counts.set(resource, (counts.get(resource) ?? 0) + 1);
    }
    const news: Resource[] = [];
    for (const [resource, count] of counts) if (await store.webhooks.hint(id, resource, count)) news.push(resource);
    if (news.length === 0) return;
    // While it is held it pulls nothing, and looks for hints when it goes on: a run takes 10,000 Signals, and that can last for weeks.
    if ((await store.holds.list(id)).length > 0) return;
    const sync = temporal.workflow.getHandle(syncConnectionId(id));
    // Where no sync runs, the next one asks for everything that has changed anyway.
    if (await ignoreNotRunning(callTemporal(context, id, () => sync.signal(hintedSignal))))
      await store.webhooks.told(id, news);
  }

  async function markDeleted(id: string, events: Of<'deleted'>): Promise<void> {
    const deletions = events.flatMap(({ resources, key, deletedAt }) =>
      resources.map((resource) => ({ resource, key, deletedAt })),
    );
    await store.webhooks.markDeleted(id, deletions);
  }

  /** What counts is Maesn's answer to a probe, which the Workflow asks for: an old or repeated event changes nothing. */
  async function checkRevoked(id: string, events: Of<'loginRevoked'>): Promise<void> {
    const [event] = events;
    if (event === undefined) return;
    const connection = await store.connections.find(id);
    if (connection === undefined) throw unknown();
    const { keyVersion } = connection;
    await store.journal.add({
      connectionId: id,
      actor: MAESN,
      action: 'webhook.login_revoked',
      detail: { keyVersion },
      occasion: event.revokedAt?.toISOString() ?? `key version ${keyVersion}`,
    });
    await callTemporal(context, id, () =>
      temporal.workflow.signalWithStart('reauthorizeConnection', {
        taskQueue,
        ...reauthorizeConnectionStart(connection, reauthorization),
        signal: revokedSignal,
      }),
    );
  }

  return {
    async receiveWebhook({ token, body, signature }) {
      const subscription = await store.webhooks.open(token);
      if (subscription === undefined) throw unknown();
      const { connectionId: id, secret, expiresAt } = subscription;
      const now = new Date();
      if (secret === null || !isSignedWith(secret, body, signature)) {
        throw refused('The signature is missing or does not fit the body');
      }
      if (expiresAt !== null && expiresAt <= now) throw refused('The subscription has expired');
      const { events, ignored } = requireEvents(parseWebhookBody(body.toString('utf8'), now));
      // Whatever an event says, it is only about the connection that the callback URL was made for.
      await hint(id, ofKind(events, 'changed'));
      await markDeleted(id, ofKind(events, 'deleted'));
      await checkRevoked(id, ofKind(events, 'loginRevoked'));
      return { accepted: events.length, ignored };
    },
  };
}

function ofKind<Kind extends WebhookEvent['kind']>(events: readonly WebhookEvent[], kind: Kind): Of<Kind> {
  return events.filter((event): event is Extract<WebhookEvent, { kind: Kind }> => event.kind === kind);
}

function requireEvents(body: WebhookBody | undefined): WebhookBody {
  if (body !== undefined) return body;
  const message = 'must be a JSON event, or a list of at most 5,000 of them';
  throw new MaesnSyncError('InvalidInput', `body: ${message}`, { issues: [{ field: 'body', message }] });
}

function unknown(): MaesnSyncError {
  return new MaesnSyncError('WebhookUnknown', 'This callback URL was never given out here, or is over.');
}

function refused(reason: string): MaesnSyncError {
  return new MaesnSyncError('WebhookRefused', `${reason}; nothing was changed.`);
}
