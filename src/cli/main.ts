/** All commands, each loaded when it is asked for: most need little of what some need. */
import { defineCommand } from 'citty';

const services = () => import('./services.js');
const connections = () => import('./connections.js');
const resources = () => import('./resources.js');
const syncs = () => import('./syncs.js');
const writes = () => import('./writes.js');

export const main = defineCommand({
  meta: { name: 'maesn-sync', description: 'Keeps every Maesn customer’s books in your own Postgres.' },
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
