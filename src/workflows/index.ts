export { deliverEvents } from './deliver-events.js';
export { reauthorizeConnection } from './reauthorize-connection.js';
export { syncConnection } from './sync-connection.js';
