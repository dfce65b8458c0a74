/** Asks Maesn whether it takes an account key, as carefully as for anything else. */
import { cancellationSignal } from '@temporalio/activity';
import type { ActivityDependencies } from './dependencies.js';
import { companyQuery } from './open-connection.js';
import type { AuthorizedConnection } from './open-connection.js';
import { createSender } from './send.js';

export function createProbe(dependencies: ActivityDependencies) {
  const { maesn } = dependencies;
  return async function probe(connection: AuthorizedConnection): Promise<void> {
    const { accountKey } = connection;
    await createSender(dependencies, connection).send({
      endpoint: `GET ${maesn.probePath}`,
      ask: () => maesn.probe({ accountKey, query: companyQuery(connection), signal: cancellationSignal() }),
    });
  };
}
