/** What every container that we describe must have. Pure: the files are read elsewhere. */
import { parse } from 'yaml';
import { z } from 'zod';

const service = z.looseObject({
  image: z.string(),
  restart: z.string().exactOptional(),
  healthcheck: z.looseObject({ test: z.array(z.string()).min(2) }).exactOptional(),
  ports: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  depends_on: z.record(z.string(), z.looseObject({ condition: z.string() })).default({}),
});

const compose = z.looseObject({ services: z.record(z.string(), service) });

export type ComposeService = z.output<typeof service>;

export function parseCompose(text: string): Readonly<Record<string, ComposeService>> {
  return compose.parse(parse(text, { merge: true })).services;
}

/** A tag with a number that says at least the minor version, or a digest. */
const PINNED = /:v?\d+\.\d+(?:\.\d+)?(?:-[\w.]+)?$|@sha256:[\da-f]{64}$/;
const SECRET = /PASSWORD|PWD|SECRET|TOKEN|API_KEY|SEALING_KEY|DATABASE_URL/;
/** Demanded, or (nothing at all) optional; never a value of ours. */
const NO_DEFAULT = /^(?:\$\{\w+:-\}|\$\{\w+:\?[^}]+\}|postgres:\/\/\w+:\$\{\w+:\?[^}]+\}@.*)$/;
const LOOPBACK = /^127\.0\.0\.1:/;

/** One line for each rule that is broken. */
export function brokenComposeRules(text: string): string[] {
  const services = parseCompose(text);
  const endsBySuccess = new Set(
    Object.values(services).flatMap(({ depends_on: needs }) =>
      Object.entries(needs).flatMap(([name, { condition }]) =>
        condition === 'service_completed_successfully' ? [name] : [],
      ),
    ),
  );
  // oxlint-disable-next-line oxc/no-map-spread -- once, and small
  return Object.entries(services).flatMap(([name, { image, healthcheck, environment, ports, restart }]) =>
    [
      PINNED.test(image) ? [] : [`${name}: ${image} is not pinned`],
      healthcheck !== undefined || endsBySuccess.has(name)
        ? []
        : [`${name}: has no health check, and nobody waits for its end`],
      endsBySuccess.has(name) && !/^(?:no|on-failure)/.test(restart ?? 'no')
        ? [`${name}: is waited for, and would be started again`]
        : [],
      ports.filter((port) => !LOOPBACK.test(port)).map((port) => `${name}: ${port} is open to the network`),
      Object.entries(environment)
        .filter(([variable, value]) => SECRET.test(variable) && !NO_DEFAULT.test(value))
        .map(([variable]) => `${name}: ${variable} has a value of its own`),
    ].flat(),
  );
}

const container = z.looseObject({
  name: z.string(),
  image: z.string(),
  args: z.array(z.string()),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().exactOptional() })),
  securityContext: z.looseObject({
    readOnlyRootFilesystem: z.literal(true),
    allowPrivilegeEscalation: z.literal(false),
  }),
  resources: z.looseObject({ requests: z.looseObject({}), limits: z.looseObject({ memory: z.string() }) }),
});
const workload = z.looseObject({
  kind: z.enum(['Deployment', 'Job']),
  metadata: z.looseObject({ name: z.string() }),
  spec: z.looseObject({ template: z.looseObject({ spec: z.looseObject({ containers: z.array(z.unknown()) }) }) }),
});

/** Of manifests as `kubectl apply` gets them. */
export function brokenManifestRules(documents: readonly unknown[]): string[] {
  return documents.flatMap((document) => {
    const parsed = workload.safeParse(document);
    if (!parsed.success) return [];
    const { kind, metadata, spec } = parsed.data;
    // oxlint-disable-next-line oxc/no-map-spread -- once, and small
    return spec.template.spec.containers.flatMap((given) => {
      const one = container.safeParse(given);
      const where = `${kind} ${metadata.name}`;
      if (!one.success) return [`${where}: ${z.prettifyError(one.error)}`];
      const { image, env } = one.data;
      const probes = kind === 'Job' ? [] : ['livenessProbe', 'readinessProbe', 'startupProbe'];
      return [
        PINNED.test(image) ? [] : [`${where}: ${image} is not pinned`],
        probes.filter((probe) => !(probe in one.data)).map((probe) => `${where}: has no ${probe}`),
        env
          .filter(({ name, value }) => SECRET.test(name) && value !== undefined)
          .map(({ name }) => `${where}: ${name} is not from a Secret`),
      ].flat();
    });
  });
}
