/** The process of a Worker whose connections wait. */
import { z } from 'zod';
import { givenTask, serve } from './child-process.js';
import { open } from './variants/maesn-sync.js';
import { variantTask } from './variants/task.js';

const variant = await open(variantTask.parse(givenTask()));
const connectionId = z.string();

serve({
  usage() {
    const { user, system } = process.cpuUsage();
    return { rssMib: process.memoryUsage.rss() / 2 ** 20, cpuSeconds: (user + system) / 1e6 };
  },
  async start(argument) {
    const connections = z.record(z.string(), z.string()).parse(argument);
    await variant.add(connections);
    await variant.start(Object.keys(connections), { every: '1 hour' });
  },
  syncNow: (id) => variant.sync.syncNow(connectionId.parse(id)),
  async reauthorized(id) {
    await variant.sync.reauthorized(connectionId.parse(id), connectionId.parse(id));
  },
});
