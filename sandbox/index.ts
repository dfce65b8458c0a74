export { startSandbox } from './server.js';
export type { Sandbox, SandboxOptions } from './server.js';
export type { AccountOptions, SandboxAccount, UnsupportedResource } from './account.js';
export type { Fault, FaultAnswer, FaultKind, FaultRule, FaultTarget, Weather } from './faults.js';
export type { MalformedRule } from './malformed.js';
export type { LoggedRequest } from './request-log.js';
export type { EmitOptions, SandboxEvent, SandboxWebhook, WebhookDelivery } from './webhooks.js';
export type { SandboxWrite } from './writes.js';
