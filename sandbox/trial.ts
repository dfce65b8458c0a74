/** What `npm start` does where there is no Maesn: a sandbox with one customer, whose books are kept in sync every minute. */
import type { MaesnSync } from '../src/client.js';
import { startApplication } from './application.js';
import type { Application } from './application.js';
import { startSandbox } from './server.js';
import type { SandboxAccount } from './account.js';

export interface Trial {
  /** What the configuration must say to reach the sandbox. */
  readonly overrides: { readonly MAESN_API_KEY: string; readonly MAESN_BASE_URL: string };
  /** Where a person sees what the sandbox holds, and revokes a login. */
  readonly pageUrl: string;
  begin(sync: MaesnSync, say: (line: string) => void): Promise<void>;
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

export async function startTrial(): Promise<Trial> {
  const sandbox = await startSandbox();
  const account = sandbox.addAccount({ name: 'Trial', targetSystem: 'sevdesk', records: RECORDS });
  let application: Application | undefined;

  return {
    overrides: { MAESN_API_KEY: sandbox.apiKey, MAESN_BASE_URL: sandbox.url },
    pageUrl: `${sandbox.url}/sandbox`,
    async begin(sync, say) {
      await connect(sync, account);
      await sync.startSync(CONNECTION, {
        resources: ['accounts', 'customers', 'invoices', 'items', 'payments', 'suppliers', 'taxRates'],
        every: '1 minute',
      });
      application = await startApplication({
        sync,
        maesnUrl: sandbox.url,
        apiKey: sandbox.apiKey,
        onEvent: ({ type, connectionId }, reconnectUrl) => {
          say(
            reconnectUrl === undefined
              ? `${type}: ${connectionId}`
              : `${type}: ${connectionId} must sign in again: ${reconnectUrl}`,
          );
        },
      });
    },
    async end() {
      await application?.close();
      await sandbox.close();
    },
  };
}

/** The data folder outlives the sandbox: a trial that starts again has the customer, and a new key for it. */
async function connect(sync: MaesnSync, { targetSystem, accountKey }: SandboxAccount): Promise<void> {
  const known = await sync.connections();
  if (known.some(({ connectionId }) => connectionId === CONNECTION)) await sync.reauthorized(CONNECTION, accountKey);
  else await sync.addConnection({ connectionId: CONNECTION, targetSystem, accountKey });
}
