/** The process of one variant: its memory and its time are its own. */
import { givenTask, serve } from './child-process.js';
import { variantModule, variantTask } from './variants/task.js';

const task = variantTask.parse(givenTask());
const { open } = variantModule.parse(await import(task.module));
const variant = await open(task);

serve({
  ready: () => true,
  async pull(incremental) {
    const begun = performance.now();
    const cpuBefore = process.cpuUsage();
    await variant.pull(incremental === true);
    const seconds = (performance.now() - begun) / 1_000;
    const { user, system } = process.cpuUsage(cpuBefore);
    return { seconds, cpuSeconds: (user + system) / 1e6, peakMib: process.resourceUsage().maxRSS / 1_024 };
  },
  close: () => variant.close(),
});
