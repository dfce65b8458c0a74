import { createConnectionRoutes } from './connections.js';
import { createDataRoutes } from './data.js';
import { createApi } from './define.js';
import type { Api, RouteOptions } from './define.js';
import { createLoginRoutes } from './logins.js';
import { createResourceRoutes } from './resources.js';
import { createSyncRoutes } from './syncs.js';
import { createWriteRoutes } from './writes.js';

/** The whole HTTP API. */
export function createRoutes(options: RouteOptions): Api {
  return createApi()
    .route('/', createConnectionRoutes(options))
    .route('/', createSyncRoutes(options))
    .route('/', createLoginRoutes(options))
    .route('/', createResourceRoutes(options))
    .route('/', createWriteRoutes(options))
    .route('/', createDataRoutes(options));
}
