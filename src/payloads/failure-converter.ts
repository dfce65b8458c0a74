/**
 * Puts the message and the stack trace of a failure into a payload, which is then encrypted like every other; its type stays
 * readable. The SDK loads this file by its path, also where TypeScript is run from its sources: plain JavaScript only.
 */
import { DefaultFailureConverter } from '@temporalio/common';

export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
