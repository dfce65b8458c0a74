/** The process of one variant: its memory and its time are its own. */
import { z } from 'zod';
import { givenTask, serve } from './child-process.js';
import { median } from './report.js';
import { variantModule, variantTask } from './variants/task.js';

const task = variantTask.parse(givenTask());
const { open } = variantModule.parse(await import(task.module));
const variant = await open(task);

/** The median of them, and the CPU of one. */
async function measured(times: number, incremental: boolean) {
  const seconds: number[] = [];
  const cpuBefore = process.cpuUsage();
  for (let time = 0; time < times; time += 1) {
    const begun = performance.now();
    await variant.pull(incremental);
    seconds.push((performance.now() - begun) / 1_000);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuSeconds = (user + system) / 1e6 / times;
  return { seconds: median(seconds), cpuSeconds, peakMib: process.resourceUsage().maxRSS / 1_024 };
}

serve({
  ready: () => true,
  pull: () => measured(1, false),
  /** What it takes to see that nothing has changed, so many times. */
  pullAgain: (times) => measured(z.number().parse(times), true),
  close: () => variant.close(),
});
