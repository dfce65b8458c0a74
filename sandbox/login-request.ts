/** What a login is asked for with. */
import { z } from 'zod';

const httpUrl = z.url({ protocol: /^https?$/ }).optional();

export const loginRequest = z
  .object({
    callbackUrl: httpUrl,
    cancelCallbackUrl: httpUrl,
    webhookCallbackUrl: httpUrl,
    companyId: z.string().optional(),
  })
  .refine((login) => login.callbackUrl !== undefined || login.webhookCallbackUrl !== undefined, {
    path: ['callbackUrl'],
    message: 'is required: the account key would reach nobody',
  });

/** As Maesn writes it in the body of `POST /auth/:targetSystem`. */
export const postedLoginRequest = z
  .looseObject({ callBackUrl: z.unknown() })
  .transform(({ callBackUrl, ...rest }): unknown => ({ ...rest, callbackUrl: callBackUrl }))
  .pipe(loginRequest);

export const credentials = z.object({ apiKey: z.string().min(1) });

export type LoginRequest = z.infer<typeof loginRequest>;
