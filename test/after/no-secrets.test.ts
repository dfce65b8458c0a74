/** Runs after all other tests: what Temporal and the logs remember of them holds no key and no customer record. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { readHistoryText } from '../support/history.js';

/** Every key and secret of every sandbox begins like this; `GmbH` stands in the names of customers, `whsec_` before what signs events. */
const SECRETS = /sandbox_(?:account_key|api_key|webhook_secret)_\w+|\bGmbH\b|whsec_[\w+/]+/g;

const findSecrets = (text: string): string[] => [...new Set(text.match(SECRETS))];

let client: Client;
beforeAll(async () => {
  client = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }) });
});
afterAll(() => client.connection.close());

it('no history of any Workflow holds one', async () => {
  let scanned = 0;
  const found: string[] = [];
  for await (const { workflowId, runId } of client.workflow.list()) {
    found.push(
      ...findSecrets(await readHistoryText(client, workflowId, runId)).map((secret) => `${workflowId}: ${secret}`),
    );
    scanned += 1;
  }
  expect(found).toEqual([]);
  // A scan of nothing finds nothing.
  expect(scanned).toBeGreaterThan(20);
});

it('no log of any Worker holds one', () => {
  const files = readdirSync(inject('logDir'));
  const logs = files.map((file) => readFileSync(path.join(inject('logDir'), file), 'utf8'));
  expect(logs.flatMap(findSecrets)).toEqual([]);
  expect(logs.join('').length).toBeGreaterThan(10_000);
});

it('a history that holds one is found', async () => {
  const workflowId = 'holds-a-secret';
  const secret = 'sandbox_account_key_0123';
  await client.workflow.start('none', { workflowId, taskQueue: 'none', args: [{ accountKey: secret }] });
  expect(findSecrets(await readHistoryText(client, workflowId))).toEqual([secret]);
  await client.workflow.getHandle(workflowId).terminate();
});
