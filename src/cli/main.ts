/** All commands, each loaded when it is asked for: most need little of what some need. */
import { stripVTControlCharacters } from 'node:util';
import { defineCommand, renderUsage } from 'citty';
import type { ArgsDef, CommandDef } from 'citty';
import { readVersion } from '../version.js';

const services = () => import('./services.js');
const connections = () => import('./connections.js');
const resources = () => import('./resources.js');
const syncs = () => import('./syncs.js');
const writes = () => import('./writes.js');

export const main = defineCommand({
  meta: {
    name: 'maesn-sync',
    description: 'Keeps every Maesn customer’s books in your own Postgres.',
    version: readVersion(),
  },
  subCommands: {
    dev: async () => (await services()).dev,
    serve: async () => (await services()).serve,
    worker: async () => (await services()).worker,
    migrate: async () => (await services()).migrate,
    'rotate-sealing-key': async () => (await import('./rotate-sealing-key.js')).rotateSealingKey,
    'replay-check': async () => (await import('./replay-check.js')).replayCheck,
    doctor: async () => (await import('./doctor.js')).doctor,
    connect: async () => (await connections()).connect,
    reauthorized: async () => (await connections()).reauthorized,
    sync: async () => (await syncs()).sync,
    stuck: async () => (await syncs()).stuck,
    'retry-now': async () => (await import('./retry-now.js')).retryNow,
    resources: async () => (await resources()).resources,
    incidents: async () => (await resources()).incidents,
    records: async () => (await connections()).records,
    write: async () => (await writes()).write,
    writes: async () => (await writes()).writes,
    journal: async () => (await connections()).journal,
    events: async () => (await connections()).events,
    connections: async () => (await connections()).connections,
  },
});

/** Commands are named in full, as they are typed: citty names one by its parent alone. */
export async function showUsage<Args extends ArgsDef>(command: CommandDef<Args>, parent?: CommandDef<Args>) {
  const usage = await renderUsage(command, parent === undefined ? undefined : { meta: { name: 'maesn-sync' } });
  console.log(`${process.stdout.isTTY ? usage : stripVTControlCharacters(usage)}\n`);
}
