/** Not waiting: of one connection, or of a whole target system after an outage. */
import { API_ARGS, createApi } from './api.js';
import { printJson } from './output.js';
import { CommandError, command, say } from './process.js';

export const retryNow = command({
  name: 'retry-now',
  description:
    'Make what waits for its next attempt now, of one connection or of a whole target system. Example: maesn-sync retry-now --target-system xero --over "10 minutes"',
  args: {
    id: { type: 'positional', description: 'Connection id', required: false },
    'target-system': { type: 'string', description: 'In place of an id: everything that is Retrying of this system' },
    over: { type: 'string', description: 'How long it takes until all of them were told. Default: "10 minutes"' },
    ...API_ARGS,
  },
  run: async ({ args, config }) => {
    const { id, over, 'target-system': targetSystem } = args;
    if ((id === undefined) === (targetSystem === undefined)) {
      throw new CommandError('retry-now takes the id of a connection, or --target-system', 2);
    }
    if (id !== undefined && over !== undefined) throw new CommandError('--over goes with --target-system', 2);
    const api = createApi(args, config);
    if (targetSystem === undefined) {
      await api.retryNow(id ?? '');
      if (args.json === true) printJson({ connectionId: id, done: 'the request is made again' });
      else say(`${id ?? ''}: the request is made again.`);
      return;
    }
    const started = await api.retryTargetSystem({ targetSystem, ...(over === undefined ? {} : { over }) });
    if (args.json === true) printJson(started);
    else say(`${started.waiting} of ${targetSystem} are told, one after the other: ${started.workflowId}.`);
  },
});
