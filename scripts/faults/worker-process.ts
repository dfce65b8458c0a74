/** What `maesn-sync worker` runs, with the delays of the error guide divided, which the command refuses outside the sandbox. */
import { untilStopped } from '../../src/cli/process.js';
import { readConfig } from '../../src/config.js';
import { createLogger, installLogger } from '../../src/logging.js';
import { runWorker } from '../../src/worker.js';

const config = readConfig({ sandbox: true });
const logger = createLogger(config);
installLogger(logger);
let code = 0;
try {
  await runWorker(config, logger, untilStopped());
} catch (error) {
  logger.error({ error }, 'The Worker has failed');
  code = 1;
}
process.exit(code);
