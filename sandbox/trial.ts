/** What `npm start` does where there is no Maesn: a sandbox with one customer, whose books are kept in sync every minute. */
import type { MaesnSync } from '../src/client.js';
import { startApplication } from './application.js';
import type { Application } from './application.js';
import { startSandbox } from './server.js';
import type { SandboxAccount } from './account.js';

export interface Trial {
  /** What the configuration must say to reach the sandbox, and to tell the application. */
  readonly overrides: Application['overrides'] & { readonly MAESN_API_KEY: string; readonly MAESN_BASE_URL: string };
  /** Where a person sees what the sandbox holds, and revokes a login. */
  readonly pageUrl: string;
  begin(sync: MaesnSync): Promise<void>;
  end(): Promise<void>;
}

const CONNECTION = 'trial';
const RECORDS = {
  accounts: 180,
  customers: 950,
  invoices: 4_200,
  items: 640,
  payments: 3_100,
  suppliers: 210,
  taxRates: 12,
};

/** `say` is told what the application is told. */
export async function startTrial(say: (line: string) => void): Promise<Trial> {
  const sandbox = await startSandbox();
  const account = sandbox.addAccount({ name: 'Trial', targetSystem: 'sevdesk', records: RECORDS });
  const application = await startApplication({
    onEvent: ({ type, data: { connectionId } }) => {
      const advice = ASKS_TO_SIGN_IN.has(type) ? '; press Reconnect on its page' : '';
      say(`Event: ${type} (${connectionId ?? 'many connections'})${advice}`);
    },
  });

  return {
    overrides: { ...application.overrides, MAESN_API_KEY: sandbox.apiKey, MAESN_BASE_URL: sandbox.url },
    pageUrl: `${sandbox.url}/sandbox`,
    async begin(sync) {
      await connect(sync, account);
      await sync.startSync(CONNECTION, {
        resources: ['accounts', 'customers', 'invoices', 'items', 'payments', 'suppliers', 'taxRates'],
        every: '1 minute',
      });
    },
    async end() {
      await application.close();
      await sandbox.close();
    },
  };
}

const ASKS_TO_SIGN_IN = new Set(['connection.reauthorization_required', 'connection.reauthorization_reminder']);

/** The data folder outlives the sandbox: a trial that starts again has the customer, and a new key for it. */
async function connect(sync: MaesnSync, { targetSystem, accountKey }: SandboxAccount): Promise<void> {
  const known = await sync.connections();
  if (known.some(({ connectionId }) => connectionId === CONNECTION)) await sync.reauthorized(CONNECTION, accountKey);
  else await sync.addConnection({ connectionId: CONNECTION, targetSystem, accountKey });
}
