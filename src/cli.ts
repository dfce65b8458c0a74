#!/usr/bin/env node
/**
 * The commands. `dev`, `serve`, `worker`, `migrate`, `rotate-sealing-key` and `doctor` use the environment of the machine they run
 * on; all others ask a running backend by HTTP.
 */
import { runMain } from 'citty';
import { main } from './cli/main.js';

await runMain(main);
