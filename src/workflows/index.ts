export { deliverEvents } from './deliver-events.js';
export { keepSubscribed } from './keep-subscribed.js';
export { reauthorizeConnection } from './reauthorize-connection.js';
export { retryTargetSystem } from './retry-target-system.js';
export { syncConnection } from './sync-connection.js';
export { watchIncidents } from './watch-incidents.js';
export { writeBatch } from './write-batch.js';
export { writeRecord } from './write-record.js';
