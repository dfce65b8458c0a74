/** JSON lines on standard error. Nothing that is logged may hold a key or a record; what could is redacted by name. */
import { Runtime, makeTelemetryFilterString } from '@temporalio/worker';
import type { LogLevel } from '@temporalio/worker';
import { destination, pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import type { Config } from './config.js';
import { statementFailure } from './store/database-error.js';

const SECRETS = [
  'accountKey',
  'apiKey',
  'authorization',
  '["X-API-KEY"]',
  '["X-ACCOUNT-KEY"]',
  '["x-api-key"]',
  '["x-account-key"]',
];

export function createLogger(
  config: Pick<Config, 'LOG_LEVEL'>,
  to: DestinationStream = destination({ fd: 2, sync: true }),
): Logger {
  return pino(
    {
      level: config.LOG_LEVEL,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      redact: {
        paths: SECRETS.flatMap((name) => [name, name.startsWith('[') ? `*${name}` : `*.${name}`]),
        censor: '[redacted]',
      },
      serializers: { error: serializeError },
    },
    to,
  );
}

/** Of a failed statement neither text nor parameters, whoever logs it. */
function serializeError(error: Error): unknown {
  const message = statementFailure(error);
  if (message === undefined) return pino.stdSerializers.err(error);
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return { type: error.name, message, stack: [message, ...frames].join('\n') };
}

const LEVELS: Readonly<Record<LogLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'>> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

export interface InstallOptions {
  /** `host:port` on which Prometheus finds the metrics of this process's Workers. */
  readonly metricsAddress?: string | undefined;
}

/** Hands the SDK's own logs to ours, and serves its metrics. Must come before anything else of the SDK's Worker in this process. */
export function installLogger(logger: Logger, { metricsAddress }: InstallOptions = {}): void {
  const log = (level: LogLevel, message: string, meta: object = {}) => {
    // The SDK marks where a line comes from with a symbol-keyed or plain `sdkComponent`; it is passed on as it is.
    logger[LEVELS[level]](meta, message);
  };
  Runtime.install({
    logger: {
      log,
      trace: (message, meta) => log('TRACE', message, meta),
      debug: (message, meta) => log('DEBUG', message, meta),
      info: (message, meta) => log('INFO', message, meta),
      warn: (message, meta) => log('WARN', message, meta),
      error: (message, meta) => log('ERROR', message, meta),
    },
    telemetryOptions: {
      logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }), forward: {} },
      ...(metricsAddress === undefined ? {} : { metrics: { prometheus: prometheus(metricsAddress) } }),
    },
    // The process that runs the Worker decides what a signal means, and in which order things end.
    shutdownSignals: [],
  });
}

/** Names as Prometheus has them: `_total`, units in words, seconds. */
function prometheus(address: string) {
  const bindAddress = address.startsWith(':') ? `0.0.0.0${address}` : address.replace(/^localhost:/, '127.0.0.1:');
  return { bindAddress, countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true };
}
