/** What Maesn answers when we connect ourselves to an end user: login pages, account keys, webhooks. */
import { z } from 'zod';

const url = z.url({ protocol: /^https?$/ });

/** The body is the URL itself, as text, or as a JSON string. */
export function parseLoginUrl(body: string): string | undefined {
  return url.safeParse(body.trim().replace(/^"(.*)"$/, '$1')).data;
}

const accountKey = z.string().regex(/^[!-~]{1,4096}$/);
const ownAccountKey = z.looseObject({ accountKey });

/** `{ accountKey }`, with or without the envelope around it. Also the body of the login's webhook, which is not documented. */
export function parseAccountKey(json: unknown): string | undefined {
  const own = ownAccountKey.safeParse(json).data?.accountKey;
  return own ?? z.looseObject({ data: ownAccountKey }).safeParse(json).data?.data.accountKey;
}

const webhook = z.object({
  id: z.union([z.string().min(1), z.number().transform(String)]),
  secret: z.string().min(1),
  // Date only where it is one: of a subscription without a date nobody knows when it expires.
  expiresDate: z
    .string()
    .transform((text) => new Date(text))
    .refine((date) => !Number.isNaN(date.getTime()))
    .nullish()
    .catch(null)
    .transform((date) => date ?? null),
});

export function parseWebhook(json: unknown): z.output<typeof webhook> | undefined {
  const enveloped = z.looseObject({ data: webhook }).safeParse(json).data?.data;
  return enveloped ?? webhook.safeParse(json).data;
}
