export { reauthorizeConnection } from './reauthorize-connection.js';
export { syncConnection } from './sync-connection.js';
