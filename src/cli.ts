#!/usr/bin/env node
/**
 * The commands. `dev`, `serve`, `worker`, `migrate`, `rotate-sealing-key`, `replay-check` and `doctor` use the environment of the machine they run
 * on; all others ask a running backend by HTTP.
 */
import { runMain } from 'citty';
import { main, showUsage } from './cli/main.js';
import { endWithReader, hasBegun } from './cli/process.js';

// A command that has begun ends the process itself. What ends before is wrong usage, for which citty's code is 1.
process.once('exit', (code) => {
  if (code === 1 && !hasBegun()) process.exitCode = 2;
});
endWithReader();
await runMain(main, { showUsage });
