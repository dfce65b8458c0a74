/** What is sent for a write, and what of the answer is a record. */
import { z } from 'zod';
import { parseRecords } from '../maesn/records.js';
import type { MaesnRecord } from '../maesn/records.js';
import { pathParameters, writeRow } from '../spec/writes.js';
import { isChild } from '../spec/resources.js';
import type { Write, WriteBody } from '../store/index.js';

const file = z.object({ filename: z.string(), contentType: z.string().optional(), base64: z.string() });

/** As Maesn wants it: nothing, JSON, or a form in which objects are JSON text and files are files. */
export function toContent({ operation }: Pick<Write, 'operation'>, body: WriteBody): WriteBody | FormData | undefined {
  const { body: kind, files } = writeRow(operation);
  if (kind === 'none') return undefined;
  if (kind === 'json') return body;
  const form = new FormData();
  for (const [name, value] of Object.entries(body)) {
    if (value === undefined || value === null) continue;
    if (name === files?.field) for (const one of toFiles(value)) form.append(name, one);
    else form.append(name, typeof value === 'string' ? value : JSON.stringify(value));
  }
  return form;
}

function toFiles(value: unknown): File[] {
  return z
    .array(file)
    .parse(Array.isArray(value) ? value : [value])
    .map(
      ({ filename, contentType = 'application/octet-stream', base64 }) =>
        new File([Buffer.from(base64, 'base64')], filename, { type: contentType }),
    );
}

/** The one record that was written, if the answer holds it and it has a key. */
export function toRecord(
  { operation, parameters }: Pick<Write, 'operation' | 'parameters'>,
  data: unknown,
): MaesnRecord | undefined {
  const { resource, several = false } = writeRow(operation);
  const [parameter] = pathParameters(operation);
  const one: unknown = Array.isArray(data) && data.length === 1 ? data[0] : data;
  if (resource === null || several || typeof one !== 'object' || one === null || Array.isArray(one)) return undefined;
  const parentKey = isChild(resource) && parameter !== undefined ? parameters[parameter] : undefined;
  const [record] = parseRecords(resource, { records: [one] }, 0, parentKey);
  return record === undefined || /(?:^|\/)hash:/.test(record.key) ? undefined : record;
}
