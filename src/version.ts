/** Of this package, whether it runs from its sources or is built. */
import { createRequire } from 'node:module';

export function readVersion(): string {
  const require = createRequire(import.meta.url);
  const { version }: { version: string } = require(
    import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json',
  );
  return version;
}
