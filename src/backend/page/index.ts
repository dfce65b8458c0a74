/** The page: where people look rather than read. Rendered here; a small script keeps it live. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Hono } from 'hono';
import type { Context } from 'hono';
import { html, raw } from 'hono/html';
import { MaesnSyncError } from '../../client.js';
import { parseInput } from '../../client/errors.js';
import { connectionId as connectionIdInput, resourceName } from '../../client/inputs.js';
import type { MaesnSync, Resolution, StartSyncOptions } from '../../client.js';
import type { BackendEnv } from '../access.js';
import { PROBLEM_STATUSES, toTitle } from '../problem.js';
import { showConnection } from './connection.js';
import { toPage } from './layout.js';
import type { PageOptions } from './layout.js';
import { PAGE_SIZE, showAddForm, showList } from './list.js';
import { createLive } from './live.js';
import { RECORDS_A_PAGE, showRecords } from './records.js';
import { UNDECIDED_COUNTED, WRITES_SHOWN } from './writes.js';

export interface PageSettings {
  readonly sync: MaesnSync;
  readonly toTemporalUi: (workflowId: string) => string | undefined;
  /** Whether people have signed in, and can sign out. */
  readonly secured: boolean;
}

export interface Page {
  readonly app: Hono<BackendEnv>;
  /** Ends what would never end by itself: the streams. */
  close(): void;
}

/** What an action that went well is answered with; its name rides on the URL. */
const DONE: Readonly<Record<string, string>> = {
  added: 'The connection was added. Connect it, then start its sync.',
  start: 'The sync was started.',
  pause: 'Paused. The page in flight is written first.',
  resume: 'Resumed. It goes on at the page where it stopped.',
  'delete-gone': 'What is not listed any more is deleted, and the sync goes on.',
  'keep-gone': 'It is kept, and the sync goes on. The next full walk asks again.',
  retry: 'The request is made again now.',
  'retry-all': 'They are told one after the other, over ten minutes.',
  now: 'The next cycle begins now.',
  cancel: 'The sync ends after the page in flight.',
  recheck: 'It is asked for again.',
  'write-applied': 'The write counts as applied.',
  'write-not-applied': 'The write is sent again.',
  'write-abandoned': 'The write is let be.',
};

const ASSETS: Readonly<Record<string, { readonly type: string; readonly url: () => URL }>> = {
  'page.css': { type: 'text/css; charset=utf-8', url: () => new URL('./assets/page.css', import.meta.url) },
  'page.js': { type: 'text/javascript; charset=utf-8', url: () => new URL('./assets/page.js', import.meta.url) },
  'idiomorph.js': {
    type: 'text/javascript; charset=utf-8',
    url: () => new URL('idiomorph.esm.js', import.meta.resolve('idiomorph')),
  },
};

export function createPage({ sync: root, toTemporalUi, secured }: PageSettings): Page {
  const app = new Hono<BackendEnv>();
  const live = createLive();
  const clientOf = (c: Context<BackendEnv>) => root.as(c.get('actor'));

  async function renderConnection(sync: MaesnSync, id: string): Promise<string> {
    const [status, journal, events, resources, incidents, writes, undecided] = await Promise.all([
      sync.syncStatus(id),
      sync.journal(id, { limit: 30 }),
      sync.latestEvents(id, 20),
      sync.resources(id),
      sync.incidents({ open: true }),
      sync.writes({ connectionId: id, limit: WRITES_SHOWN }),
      sync.writes({ connectionId: id, states: ['undecided'], limit: WRITES_SHOWN }),
    ]);
    const temporalUi = toTemporalUi(status.workflowId);
    const shown = { status, journal, events, resources, incidents, writes, undecided, temporalUi };
    return String(await showConnection(shown, new Date()));
  }

  async function listPage(c: Context<BackendEnv>, more: Partial<PageOptions> = {}) {
    const after = c.req.method === 'GET' ? c.req.query('after') : undefined;
    const query = after === undefined ? '' : `?after=${encodeURIComponent(after)}`;
    return toPage(c, {
      title: 'Connections',
      live: raw(await renderList(clientOf(c), after)),
      still: showAddForm(),
      stream: `/ui/stream${query}`,
      signedIn: secured,
      ...more,
    });
  }

  async function connectionPage(c: Context<BackendEnv>, id: string, more: Partial<PageOptions> = {}) {
    return toPage(c, {
      title: id,
      live: raw(await renderConnection(clientOf(c), id)),
      stream: `/ui/connections/${id}/stream`,
      signedIn: secured,
      ...more,
    });
  }

  for (const [file, { type, url }] of Object.entries(ASSETS)) {
    app.get(`/ui/assets/${file}`, async (c) =>
      c.body(await readFile(fileURLToPath(url())), 200, { 'Content-Type': type }),
    );
  }

  app.use('/ui/connections/:id/*', async (c, next) => {
    parseInput(connectionIdInput, c.req.param('id'));
    return next();
  });

  app.get('/ui', (c) => listPage(c, messageOf(c)));
  app.get('/ui/stream', (c) => {
    const after = c.req.query('after');
    const sync = clientOf(c);
    return live.stream(c, `list ${after ?? ''}`, () => renderList(sync, after));
  });
  app.get('/ui/connections/:id', (c) => connectionPage(c, c.req.param('id'), messageOf(c)));
  app.get('/ui/connections/:id/stream', async (c) => {
    const sync = clientOf(c);
    const { connectionId } = await sync.connection(c.req.param('id'));
    return live.stream(c, `connection ${connectionId}`, () => renderConnection(sync, connectionId));
  });

  app.get('/ui/connections/:id/records/:resource', async (c) => {
    const { id, resource } = c.req.param();
    const records = await clientOf(c).records(id, parseInput(resourceName, resource), {
      limit: RECORDS_A_PAGE + 1,
      afterKey: c.req.query('after'),
      includeDeleted: true,
    });
    const shown = showRecords({ connectionId: id, resource, records }, new Date());
    return toPage(c, { title: `${resource} of ${id}`, live: shown, signedIn: secured });
  });

  app.post('/ui/connections', async (c) => {
    const { connectionId, targetSystem } = await readForm(c);
    try {
      const added = await clientOf(c).addConnection({
        connectionId: (connectionId ?? '').trim(),
        targetSystem: (targetSystem ?? '').trim(),
      });
      return c.redirect(`/ui/connections/${added.connectionId}?done=added`, 303);
    } catch (error) {
      return listPage(c, refusal(error));
    }
  });

  app.post('/ui/retry-now', async (c) => {
    const { targetSystem = '' } = await readForm(c);
    try {
      await clientOf(c).retryTargetSystem({ targetSystem });
      return c.redirect('/ui?done=retry-all', 303);
    } catch (error) {
      return listPage(c, refusal(error));
    }
  });

  app.post('/ui/connections/:id/:action', async (c) => {
    const { id, action } = c.req.param();
    const sync = clientOf(c);
    const form = await readForm(c);
    const decideWrite = (decision: Resolution) =>
      sync.resolveWrite(id, form['key'] ?? '', { decision, sends: toNumber(form['sends']) });
    const actions: Readonly<Record<string, () => Promise<unknown>>> = {
      start: () => sync.startSync(id, toStartOptions(form)),
      pause: () => sync.pauseSync(id, { reason: (form['reason'] ?? '').trim() }),
      resume: () => sync.resumeSync(id),
      'delete-gone': () => sync.decideDeletes(id, { decision: 'delete' }),
      'keep-gone': () => sync.decideDeletes(id, { decision: 'keep' }),
      retry: () => sync.retryNow(id),
      now: () => sync.syncNow(id),
      cancel: () => sync.cancelSync(id),
      recheck: () => sync.recheckResource(id, parseInput(resourceName, form['resource'])),
      'write-applied': () => decideWrite('applied'),
      'write-not-applied': () => decideWrite('not_applied'),
      'write-abandoned': () => decideWrite('abandon'),
    };
    try {
      if (action === 'reconnect') return c.redirect((await sync.authorize(id)).loginUrl, 303);
      const act = Object.hasOwn(actions, action) ? actions[action] : undefined;
      if (act === undefined) return await c.notFound();
      await act();
      return c.redirect(`/ui/connections/${id}?done=${action}`, 303);
    } catch (error) {
      return connectionPage(c, id, refusal(error));
    }
  });

  app.onError((error, c) => {
    if (!(error instanceof MaesnSyncError)) throw error;
    const title = toTitle(error.code);
    return toPage(c, { title, live: html`<h1>${title}</h1>`, signedIn: secured, ...refusal(error) });
  });

  return { app, close: () => live.close() };
}

/** Of an error that people may be told of; every other one is thrown on. */
function refusal(error: unknown): Pick<PageOptions, 'message' | 'status'> {
  if (!(error instanceof MaesnSyncError)) throw error;
  return { message: { text: error.message, bad: true }, status: PROBLEM_STATUSES[error.code] };
}

async function readForm(c: Context): Promise<Readonly<Record<string, string | undefined>>> {
  const form = await c.req.parseBody();
  return Object.fromEntries(
    Object.entries(form).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );
}

/** Of a form that was made here. */
function toNumber(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

/** What was typed; the client checks it. */
function toStartOptions({
  resources = '',
  every = '',
}: Readonly<Record<string, string | undefined>>): StartSyncOptions {
  const names = resources.split(/[\s,]+/).filter((name) => name !== '' && name !== 'all');
  return {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is none is refused by name
    ...(names.length === 0 ? {} : { resources: names as NonNullable<StartSyncOptions['resources']> }),
    ...(every.trim() === '' ? {} : { every: every.trim() }),
  };
}

async function renderList(sync: MaesnSync, after: string | undefined): Promise<string> {
  const [statuses, incidents, undecided] = await Promise.all([
    sync.overview({ limit: PAGE_SIZE + 1, afterId: after }),
    sync.incidents({ open: true }),
    sync.writes({ states: ['undecided'], limit: UNDECIDED_COUNTED }),
  ]);
  return String(await showList({ statuses, incidents, undecided }, new Date()));
}

function messageOf(c: Context): Pick<PageOptions, 'message'> {
  const text = DONE[c.req.query('done') ?? ''];
  return text === undefined ? {} : { message: { text, bad: false } };
}
